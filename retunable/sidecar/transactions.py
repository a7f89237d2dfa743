"""A thread that runs all transactions of one connection, those that wait at the same time as one.

Group commit: while one batch is made durable (an fsync), the next one gathers. Each job of a batch
stands in a savepoint of its own, so that one which raises takes only itself back. What waits for
the disk or for another process is done in the thread; short jobs are done by the event loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Literal, TypeVar

from retunable.errors import DatabaseUnavailable
from retunable.sidecar.connection import identity, told_as_unavailable
from retunable.sidecar.errands import Raised, resolve, run_on

Result = TypeVar("Result")
Job = Callable[[sqlite3.Connection], Result]

BATCH_JOBS: Final = 128
PATIENCE_SECONDS: Final = 30.0
"""How long a transaction waits while another process holds the file."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    job: Job[Any]
    future: asyncio.Future[Any]
    long: bool


def run_alone(
    connection: sqlite3.Connection,
    job: Job[Result],
    *,
    path: Path,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Result:
    """Run one job that writes, in a transaction of its own, in this thread.

    Raises:
        DatabaseUnavailable: nothing was changed.
    """
    with told_as_unavailable(path):
        _begin(connection, "BEGIN IMMEDIATE", patience_seconds, given_up=lambda: False)
        try:
            result = job(connection)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    return result


class TransactionThread:
    """Runs jobs in the order in which they came; ``begin`` says what they may do.

    A job gets the connection inside a transaction and leaves that alone. It is given up with
    DatabaseUnavailable where the file stays busy for ``patience_seconds``. A ``replaceable`` file
    may be deleted at any time: what then stands under its name is used.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        *,
        path: Path,
        begin: Literal["BEGIN", "BEGIN IMMEDIATE"],
        patience_seconds: float,
        replaceable: bool,
    ) -> None:
        self._connect = connect
        self._connection = connect()
        self._identity = identity(path)
        self._replaceable = replaceable
        self._path = path
        self._begin = begin
        self._patience_seconds = patience_seconds
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._closing = threading.Event()
        # A daemon: a disk that hangs cannot hold up the end of the process.
        self._thread = threading.Thread(target=self._serve, name=f"db {path.name}", daemon=True)
        self._thread.start()

    def submit(self, job: Job[Result], *, long: bool) -> asyncio.Future[Result]:
        """Have a job done for the running loop; its result comes when it is durable.

        A ``long`` one is never done by the loop itself.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        if self._closing.is_set():
            future.set_exception(self._closed())
        else:
            self._waiting.put(_Waiting(job, future, long))
        return future

    def close(self, *, within_seconds: float) -> None:
        """Do what waits, then close the connection; a busy file is not waited for."""
        self._closing.set()
        self._waiting.put(None)
        self._thread.join(within_seconds)

    def _serve(self) -> None:
        try:
            while (batch := self._next_batch()) is not None:
                self._run(batch)
        finally:
            self._closing.set()
            self._connection.close()
            self._refuse_the_rest()

    def _next_batch(self) -> list[_Waiting] | None:
        """Wait for jobs; None when all are done and none will come."""
        first = self._waiting.get()
        if first is None:
            return None
        batch = [first]
        self._add_waiting(batch)
        return batch

    def _add_waiting(self, batch: list[_Waiting]) -> None:
        """Add what waits by now; a long job goes alone, behind those that wait with it."""
        while len(batch) < BATCH_JOBS and not batch[0].long:
            try:
                more = self._waiting.get_nowait()
            except Empty:
                return
            if more is None or more.long:
                self._waiting.put(more)
                return
            batch.append(more)

    def _run(self, batch: list[_Waiting]) -> None:
        outcomes: list[object] = []
        try:
            with told_as_unavailable(self._path):
                self._meet_the_file()
                _begin(
                    self._connection,
                    self._begin,
                    self._patience_seconds,
                    given_up=self._closing.is_set,
                )
                if batch[0].long:
                    outcomes = self._attempt_all(batch)
                else:
                    loop = batch[0].future.get_loop()
                    outcomes = run_on(
                        loop, lambda: self._attempt_all(batch), given_up=self._closing.is_set
                    )
                self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to those who wait
            self._roll_back()
            outcomes = [Raised(error)] * len(batch)
        resolve((one.future, outcome) for one, outcome in zip(batch, outcomes, strict=True))

    def _attempt_all(self, batch: list[_Waiting]) -> list[object]:
        """Do the jobs of a batch, with those that came while it waited for the loop."""
        self._add_waiting(batch)
        if len(batch) == 1 and not batch[0].future.cancelled():
            return [batch[0].job(self._connection)]
        # Whoever gave up while waiting gets nothing done behind their back.
        return [None if one.future.cancelled() else self._attempt(one.job) for one in batch]

    def _meet_the_file(self) -> None:
        """Notice that another file stands under the name: ours would be a deleted one by now."""
        standing = identity(self._path)
        if standing == self._identity:
            return
        if not self._replaceable:
            raise DatabaseUnavailable(
                f"{self._path} was deleted or replaced while it was in use; restart the sidecar",
                path=self._path,
                reason="broken",
            )
        opened = self._connect()
        self._connection.close()
        self._connection = opened
        self._identity = identity(self._path)

    def _attempt(self, job: Job[Any]) -> object:
        self._connection.execute("SAVEPOINT job")
        try:
            with told_as_unavailable(self._path):
                result = job(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:
                raise  # SQLite took the whole batch back: a full disk, a broken file
            self._connection.execute("ROLLBACK TO job")
            result = Raised(error)
        self._connection.execute("RELEASE job")
        return result

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):  # of a disk that is gone; the next BEGIN says so too
                self._connection.execute("ROLLBACK")

    def _refuse_the_rest(self) -> None:
        while True:
            try:
                waiting = self._waiting.get_nowait()
            except Empty:
                return
            if waiting is not None:
                resolve([(waiting.future, Raised(self._closed()))])

    def _closed(self) -> DatabaseUnavailable:
        return DatabaseUnavailable(
            f"{self._path} is closed: the sidecar is stopping", path=self._path, reason="closed"
        )


def _begin(
    connection: sqlite3.Connection,
    statement: str,
    patience_seconds: float,
    *,
    given_up: Callable[[], bool],
) -> None:
    """Begin a transaction as soon as no other process holds the file."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or given_up() or time.monotonic() > deadline:
                raise
        else:
            return
