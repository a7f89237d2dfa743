"""A thread that runs all transactions of one connection, those that wait at the same time as one.

Group commit: while one batch is made durable (an fsync), the next one gathers. Each job of a batch
stands in a savepoint of its own, so that one which raises takes only itself back.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Literal, TypeVar

from retunable.errors import DatabaseUnavailable
from retunable.sidecar.connection import identity, told_as_unavailable

Result = TypeVar("Result")
Job = Callable[[sqlite3.Connection], Result]

BATCH_JOBS: Final = 128
PATIENCE_SECONDS: Final = 30.0
"""How long a transaction waits while another process holds the file."""

_Waiting = tuple[Job[Any], "Future[Any]"]


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

    def submit(self, job: Job[Result]) -> Future[Result]:
        """Have a job done; its result comes when it is durable."""
        future: Future[Result] = Future()
        if self._closing.is_set():
            future.set_exception(self._closed())
        else:
            self._waiting.put((job, future))
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
        while len(batch) < BATCH_JOBS:
            try:
                more = self._waiting.get_nowait()
            except Empty:
                break
            if more is None:
                self._waiting.put(None)
                break
            batch.append(more)
        # Whoever gave up while waiting gets nothing done behind their back.
        return [one for one in batch if one[1].set_running_or_notify_cancel()]

    def _run(self, batch: list[_Waiting]) -> None:
        try:
            with told_as_unavailable(self._path):
                self._meet_the_file()
                _begin(
                    self._connection,
                    self._begin,
                    self._patience_seconds,
                    given_up=self._closing.is_set,
                )
                done = [(future, self._attempt(job)) for job, future in batch]
                self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to those who wait
            self._roll_back()
            for _, future in batch:
                future.set_exception(error)
            return
        for future, outcome in done:
            if isinstance(outcome, _Raised):
                future.set_exception(outcome.error)
            else:
                future.set_result(outcome)

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

    def _attempt(self, job: Job[Any]) -> Any:
        self._connection.execute("SAVEPOINT job")
        try:
            with told_as_unavailable(self._path):
                result = job(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:
                raise  # SQLite took the whole batch back: a full disk, a broken file
            self._connection.execute("ROLLBACK TO job")
            result = _Raised(error)
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
            if waiting is not None and waiting[1].set_running_or_notify_cancel():
                waiting[1].set_exception(self._closed())

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


class _Raised:
    """What a job raised, to be handed on when the others of its batch are durable."""

    def __init__(self, error: Exception) -> None:
        self.error = error
