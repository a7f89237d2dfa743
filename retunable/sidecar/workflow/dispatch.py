"""Decides which worker gets which piece of work, and when a piece is given out again.

Work is given out at least once. A worker that lost its connection still holds results and sends
them a moment after it is back, so the activities that it had are kept back for a short grace.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from retunable.errors import DatabaseUnavailable
from retunable.sidecar.transactions import Job
from retunable.sidecar.workflow import tables
from retunable.sidecar.workflow.changes import Changes, Task
from retunable.sidecar.workflow.instance import TaskToken, TurnToken
from retunable.sidecar.workflow.ready import Ready
from retunable.sidecar.workflow.streams import WorkStream
from retunable.sidecar.workflow.turns import Known, Turn, load_turn

_log = logging.getLogger("retunable")

GRACE_SECONDS: Final = 1.0
"""How long an activity whose worker went away waits for that worker's result.

The SDK is back after 2 to 3 s and then sends what it holds within milliseconds.
"""

LOADED_AT_ONCE: Final = 64
RETRY_SECONDS: Final = 0.5


@dataclass(slots=True)
class Load:
    """What has to be read before it can be given out; the turns with what a worker knows."""

    turns: dict[int, Known | None] = field(default_factory=dict)
    tasks: list[TaskToken] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.turns) + len(self.tasks)


Loaded: TypeAlias = "tuple[list[Turn], list[Task]]"
Read: TypeAlias = "Callable[[Job[Loaded]], Awaitable[Loaded]]"


class Dispatcher:
    """Work that is ready, and the workers that it is given to; lives on one event loop."""

    def __init__(
        self, *, read: Read, now: Callable[[], int], grace_seconds: float = GRACE_SECONDS
    ) -> None:
        self._read = read
        self._now = now
        self._grace_seconds = grace_seconds
        self._streams: list[WorkStream] = []
        self._ready = Ready()
        self._given_turns: dict[int, tuple[TurnToken, WorkStream]] = {}
        self._given_tasks: dict[TaskToken, WorkStream] = {}
        self._changed_since: set[int] = set()
        self._held: dict[TaskToken, None] = {}
        self._wake = asyncio.Event()
        self._returned = asyncio.Event()
        self._stopping = False

    @property
    def workers(self) -> int:
        """Tell how many workers are connected."""
        return len(self._streams)

    async def idle(self) -> None:
        """Wait until no worker has a piece of work."""
        while self._given_turns or self._given_tasks:
            self._returned.clear()
            await self._returned.wait()

    def wants_turn(self, key: int) -> bool:
        """Tell whether a turn of an instance could be given out at once; from any thread."""
        return bool(self._streams) and key not in self._given_turns

    def known(self, key: int) -> Known | None:
        """Return what the worker for an instance's next turn holds of it; from any thread."""
        stream = self._stream_for(key)
        return None if stream is None else stream.known.get(key)

    def restore(self, keys: Iterable[int], tasks: Iterable[TaskToken]) -> None:
        """Take up what waited when the sidecar ended; a worker may hold results of the tasks."""
        for key in keys:
            self._ready.add_turn(key, None)
        self._held.update(dict.fromkeys(tasks))

    def absorb(self, changes: Changes, turns: Mapping[int, Turn | None]) -> None:
        """Take in what a transaction made ready.

        ``turns`` are those that it looked for; None where there was nothing to take.
        """
        for key in changes.ended:
            self._forget(key)
        for task in changes.tasks:
            self._ready.add_task(task.token, task if self._streams else None)
        for key in changes.runnable:
            if key in self._given_turns:
                self._changed_since.add(key)
            elif turns.get(key, _UNKNOWN) is not None:
                self._ready.add_turn(key, turns.get(key))
        self._wake.set()

    def turn_taken(
        self, token: TurnToken, changes: Changes | None, turns: Mapping[int, Turn | None]
    ) -> None:
        """Take in what an answer to a turn changed; None where it was late."""
        key = token.key
        given = self._given_turns.get(key)
        late = changes is None
        if given is not None and (not late or given[0] == token):
            self._release_turn(key)
            # What came while the turn was out was not loaded with its answer.
            if late or key in self._changed_since:
                self._ready.add_turn(key, None)
            self._changed_since.discard(key)
        self.absorb(changes or Changes(), turns)

    def task_taken(self, token: TaskToken) -> None:
        """Take in that an activity's result is stored, or not awaited any more."""
        stream = self._given_tasks.pop(token, None)
        if stream is not None:
            stream.tasks -= 1
            self._returned.set()
        self._held.pop(token, None)
        self._ready.remove_task(token)
        self._wake.set()

    def give_back(self, token: TurnToken | TaskToken) -> None:
        """Give a piece of work out again: its result could not be stored."""
        if isinstance(token, TaskToken):
            self.task_taken(token)
            self._held[token] = None
            self._release_held_later()
        else:
            self.turn_taken(token, None, {})

    def open(self, *, keeps_histories: bool) -> WorkStream:
        """Add a worker."""
        stream = WorkStream(keeps_histories=keeps_histories)
        self._streams.append(stream)
        self._release_held_later()
        self._wake.set()
        return stream

    def close(self, stream: WorkStream) -> None:
        """Take a worker out; what it had is given out again, its activities after the grace."""
        self._streams.remove(stream)
        for key in [key for key, (_, at) in self._given_turns.items() if at is stream]:
            self._release_turn(key)
            self._changed_since.discard(key)
            self._ready.add_turn(key, None)
        for token in [token for token, at in self._given_tasks.items() if at is stream]:
            del self._given_tasks[token]
            self._held[token] = None
        self._release_held_later()
        self._wake.set()

    def stop(self) -> None:
        """Give nothing out any more; results are still taken in."""
        self._stopping = True

    def end_streams(self) -> None:
        """Let every worker's stream end."""
        for stream in self._streams:
            stream.end()

    async def run(self) -> None:
        """Give out what is ready whenever there is room, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while not self._stopping and (load := self._give_out()):
                await self._load(load)

    def _give_out(self) -> Load:
        """Give out what can be; return what has to be loaded first, taken off the queue."""
        load = Load()
        for key, turn in list(self._ready.turns.items()):
            stream = self._stream_for(key)
            if stream is None or len(load) == LOADED_AT_ONCE:
                break
            self._ready.remove_turn(key)
            known = stream.known.get(key)
            if turn is not None and turn.stands_on(known):
                self._give_turn(stream, turn)
            else:
                load.turns[key] = known
        for token, task in self._ready.tasks():
            stream = self._stream_for_tasks()
            if stream is None or len(load) == LOADED_AT_ONCE:
                break
            self._ready.remove_task(token)
            if task is None:
                load.tasks.append(token)
            else:
                self._given_tasks[token] = stream
                stream.give_task(task)
        return load

    def _give_turn(self, stream: WorkStream, turn: Turn) -> None:
        token = turn.token(self._now())
        self._given_turns[turn.key] = (token, stream)
        self._changed_since.discard(turn.key)
        stream.give_turn(turn, token)

    async def _load(self, load: Load) -> None:
        """Put what was asked for back on the queue, with what it says."""
        try:
            turns, tasks = await self._read(lambda connection: _read_work(connection, load))
        except DatabaseUnavailable as error:
            _log.warning("workflows wait: %s", error)
            for key in load.turns:
                self._ready.add_turn(key, None)
            for token in load.tasks:
                self._ready.add_task(token, None)
            await asyncio.sleep(RETRY_SECONDS)
            return
        for turn in turns:
            if turn.key not in self._given_turns:
                self._ready.add_turn(turn.key, turn)
        for task in tasks:
            self._ready.add_task(task.token, task)

    def _stream_for(self, key: int) -> WorkStream | None:
        """Return the worker for an instance's turn: one that holds its history, if there is one."""
        free = [stream for stream in self._streams if stream.takes_turns]
        return min(free, key=lambda one: (key not in one.known, one.turns), default=None)

    def _stream_for_tasks(self) -> WorkStream | None:
        free = [stream for stream in self._streams if stream.takes_tasks]
        return min(free, key=lambda one: one.tasks, default=None)

    def _release_turn(self, key: int) -> None:
        _, stream = self._given_turns.pop(key)
        stream.turns -= 1
        self._returned.set()

    def _forget(self, key: int) -> None:
        """Drop what is ready for an instance that needs nothing more, or begins anew."""
        self._ready.remove_all(key)
        for stream in self._streams:
            stream.known.pop(key, None)

    def _release_held_later(self) -> None:
        if not self._held or not self._streams:
            return  # the next worker to come begins the grace
        held = tuple(self._held)
        asyncio.get_running_loop().call_later(self._grace_seconds, self._release_held, held)

    def _release_held(self, tokens: tuple[TaskToken, ...]) -> None:
        if not self._streams:
            return
        for token in tokens:
            if token in self._held:
                del self._held[token]
                self._ready.add_task(token, None)
        self._wake.set()


_UNKNOWN: Final = object()


def _read_work(connection: sqlite3.Connection, load: Load) -> Loaded:
    turns = (load_turn(connection, key, known=known) for key, known in load.turns.items())
    tasks = (tables.task(connection, token) for token in load.tasks)
    return [turn for turn in turns if turn], [task for task in tasks if task]
