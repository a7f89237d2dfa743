"""The workflows of one app: each operation is a transaction, and what it made ready is given out.

No gRPC here: ``service`` speaks it. One event loop; the database has threads of its own.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final, TypeVar

from retunable.errors import DatabaseUnavailable
from retunable.sidecar.database import Database
from retunable.sidecar.workflow import operations, tables, turns
from retunable.sidecar.workflow.changes import Changes, Refusal
from retunable.sidecar.workflow.dispatch import GRACE_SECONDS, Dispatcher
from retunable.sidecar.workflow.instance import Status, TaskToken, TurnToken
from retunable.sidecar.workflow.operations import Description
from retunable.sidecar.workflow.protos import pb
from retunable.sidecar.workflow.streams import WorkStream
from retunable.sidecar.workflow.turns import Turn, load_turn
from retunable.sidecar.workflow.upkeep import Alarm, Retention, forget_some
from retunable.sidecar.workflow.watchers import Watchers

_log = logging.getLogger("retunable")

RETENTION_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 1.0

Result = TypeVar("Result")
Change = Callable[[sqlite3.Connection], Changes | Refusal]
Turns = dict[int, Turn | None]


class Workflows:
    """Takes in changes and results, and sees to it that what follows from them happens."""

    def __init__(
        self,
        *,
        database: Database,
        app_id: str,
        now: Callable[[], int] = time.time_ns,
        retention: Retention | None = None,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self.app_id = app_id
        self.now = now
        self.database = database
        self.dispatcher = Dispatcher(
            read=partial(database.read, long=True), now=now, grace_seconds=grace_seconds
        )
        self._retention = retention or Retention()
        self._watchers = Watchers()
        self._alarm = Alarm(now)
        self._background: set[asyncio.Task[None]] = set()
        self._storing: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Take up what waited when the sidecar ended, and begin.

        Raises:
            DatabaseUnavailable: the file cannot be read.
        """
        keys, tasks = await self.database.read(
            lambda connection: (tables.runnable(connection), tables.all_tasks(connection)),
            long=True,
        )
        self.dispatcher.restore(keys, tasks)
        for name, step in (
            ("dispatch", self.dispatcher.run),
            ("timers", self._fire_next_timers),
            ("retention", self._forget_ended),
        ):
            task = asyncio.create_task(_for_ever(step, name), name=f"workflow {name}")
            self._background.add(task)

    async def stop(self) -> None:
        """End what goes on by itself, and finish what is being stored."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, *self._storing, return_exceptions=True)

    async def open_stream(self, *, keeps_histories: bool) -> WorkStream:
        """Add a worker; it may know versions that no other did."""
        await self.change(lambda connection: turns.retry_stalled(connection, now=self.now()))
        return self.dispatcher.open(keeps_histories=keeps_histories)

    async def change(self, change: Change) -> Refusal | None:
        """Do an operation, and give out what it made ready.

        Raises:
            DatabaseUnavailable: nothing was changed.
        """
        done, loaded = await self.database.write(lambda connection: self._do(connection, change))
        if isinstance(done, Refusal):
            return done
        self._told(done)
        self.dispatcher.absorb(done, loaded)
        return None

    async def complete_turn(self, token: TurnToken, answer: pb.WorkflowResponse) -> None:
        """Take a worker's answer to a turn, whatever becomes of the caller meanwhile.

        Raises:
            DatabaseUnavailable: it is not stored; the turn is given out again.
        """
        await self._store(token, lambda: self._complete_turn(token, answer))

    async def complete_task(self, token: TaskToken, answer: pb.ActivityResponse) -> None:
        """Take an activity's result, whatever becomes of the caller meanwhile.

        Raises:
            DatabaseUnavailable: it is not stored; the activity is given out again.
        """
        await self._store(token, lambda: self._complete_task(token, answer))

    async def describe(self, instance_id: str) -> Description | None:
        """Return an instance as it is now."""
        return await self.database.read(lambda c: operations.describe(c, instance_id))

    async def wait(self, instance_id: str, reached: Callable[[Status], bool]) -> Description:
        """Return an instance as soon as it is where the caller waits for it, for ever."""
        async with self._watchers.watch(instance_id) as seen:
            while True:
                found = await self.describe(instance_id)
                if found is not None and reached(found.instance.seen_status):
                    return found
                while not reached(await seen.get()):
                    pass

    def watch(self, instance_id: str) -> AbstractAsyncContextManager[asyncio.Queue[Status]]:
        """Give every status that an instance is seen in from now on."""
        return self._watchers.watch(instance_id)

    async def history(self, instance_id: str) -> list[bytes] | None:
        """Return the stored events of an instance."""
        return await self.database.read(lambda c: operations.history(c, instance_id), long=True)

    async def page(self, *, after: int, limit: int) -> list[tuple[int, str]]:
        """Return a page of all instances, by key."""
        return await self.database.read(
            lambda c: tables.ids(c, after=after, limit=limit), long=True
        )

    async def _complete_turn(self, token: TurnToken, answer: pb.WorkflowResponse) -> None:
        def job(connection: sqlite3.Connection) -> tuple[Changes | None, Turns]:
            changes = turns.complete_turn(
                connection, token, answer, app_id=self.app_id, now=self.now()
            )
            if changes is None:
                return None, {}
            return changes, self._load_turns(connection, changes, own=token.key)

        changes, loaded = await self.database.write_sometime(job)
        if changes is not None:
            self._told(changes)
        self.dispatcher.turn_taken(token, changes, loaded)

    async def _complete_task(self, token: TaskToken, answer: pb.ActivityResponse) -> None:
        def job(connection: sqlite3.Connection) -> tuple[Changes, Turns]:
            changes = turns.complete_task(connection, token, answer, now=self.now())
            return changes, self._load_turns(connection, changes)

        changes, loaded = await self.database.write_sometime(job)
        self.dispatcher.task_taken(token)
        self.dispatcher.absorb(changes, loaded)

    async def _store(
        self, token: TurnToken | TaskToken, store: Callable[[], Awaitable[None]]
    ) -> None:
        """Store a result that its worker sends only once: a caller that is gone ends nothing."""

        async def stored() -> None:
            try:
                await store()
            except DatabaseUnavailable:
                self.dispatcher.give_back(token)
                raise

        task = asyncio.create_task(stored())
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        await asyncio.shield(task)

    def _do(
        self, connection: sqlite3.Connection, change: Change
    ) -> tuple[Changes | Refusal, Turns]:
        done = change(connection)
        return done, {} if isinstance(done, Refusal) else self._load_turns(connection, done)

    def _load_turns(
        self, connection: sqlite3.Connection, changes: Changes, own: int | None = None
    ) -> Turns:
        """Load what can be given out at once; runs in the database's thread.

        ``own`` is the instance whose turn is just being taken in.
        """
        return {
            key: load_turn(connection, key, known=self.dispatcher.known(key))
            for key in changes.runnable
            if self.dispatcher.wants_turn(key) or (key == own and self.dispatcher.workers)
        }

    def _told(self, changes: Changes) -> None:
        self._watchers.tell(changes.seen)
        if changes.timers:
            self._alarm.look_again()

    async def _fire_next_timers(self) -> None:
        put_back = await self._alarm.wait()

        def job(connection: sqlite3.Connection) -> tuple[Changes, int | None, Turns]:
            now = self.now()
            if put_back:
                tables.bring_timers_nearer(connection, now=now)
            changes, due = turns.fire_timers(connection, now=now)
            return changes, due, self._load_turns(connection, changes)

        try:
            changes, due, loaded = await self.database.write_sometime(job)
        except DatabaseUnavailable:
            self._alarm.look_again()
            raise
        self._alarm.set_due(due)
        self.dispatcher.absorb(changes, loaded)

    async def _forget_ended(self) -> None:
        """Forget a few at a time, so that nobody waits long for the database."""
        while await self.database.write_sometime(
            lambda connection: forget_some(connection, self._retention, now=self.now()), long=True
        ):
            await self.database.vacuum()
        await asyncio.sleep(RETENTION_SECONDS)


async def _for_ever(step: Callable[[], Awaitable[None]], name: str) -> None:
    """Do a step again and again; what goes wrong is told, and tried again."""
    while True:
        try:
            await step()
        except DatabaseUnavailable as error:
            _log.warning("workflows (%s) wait: %s", name, error)
            await asyncio.sleep(RETRY_SECONDS)
        except Exception:  # noqa: BLE001 - a supervised seam: a run must not hang in silence
            _log.exception("workflows (%s) failed; trying again", name)
            await asyncio.sleep(RETRY_SECONDS)
