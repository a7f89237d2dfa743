"""Transactions of one connection, each of several jobs: begun, done, made durable, or taken back.

Each job of a batch stands in a savepoint of its own, so that one which raises takes only itself
back. No thread and no event loop here: ``group_commit`` says who does which part.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

from retunable.errors import DatabaseUnavailable
from retunable.sidecar.connection import identity, told_as_unavailable

Result = TypeVar("Result")
Job = Callable[[sqlite3.Connection], Result]

PATIENCE_SECONDS: Final = 30.0
"""How long a transaction waits while another process holds the file."""


@dataclass(frozen=True, slots=True)
class Raised:
    """What a job raised, to be handed on when the others of its batch are durable."""

    error: Exception


Outcomes: TypeAlias = "list[object]"
"""What each job of a batch returned, or ``Raised``."""


def _never() -> bool:
    return False


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
        _begin(connection, "BEGIN IMMEDIATE", patience_seconds, given_up=_never)
        try:
            result = job(connection)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    return result


class Transactions:
    """One connection; ``begin`` says what jobs may do. Used by one thread at a time.

    A job gets the connection inside a transaction and leaves that alone. A ``replaceable`` file may
    be deleted at any time: what then stands under its name is used.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        *,
        path: Path,
        begin: Literal["BEGIN", "BEGIN IMMEDIATE"],
        replaceable: bool,
    ) -> None:
        self.path = path
        self.writes = begin == "BEGIN IMMEDIATE"
        self._connect = connect
        self._connection = connect()
        self._identity = identity(path)
        self._replaceable = replaceable
        self._begin = begin

    @property
    def replaced(self) -> bool:
        """Whether another file stands under the name, or none: opening it may take a while."""
        return identity(self.path) != self._identity

    def run(
        self, jobs: Sequence[Job[Any]], *, patience_seconds: float, given_up: Callable[[], bool]
    ) -> Outcomes:
        """Do jobs and make them durable, all of it here."""
        try:
            outcomes = self.start(jobs, patience_seconds=patience_seconds, given_up=given_up)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to those who wait
            return [Raised(error)] * len(jobs)
        return self.finish(outcomes)

    def start(
        self,
        jobs: Sequence[Job[Any]],
        *,
        patience_seconds: float = 0.0,
        given_up: Callable[[], bool] = _never,
    ) -> Outcomes:
        """Begin a transaction and do jobs in it; without patience, SQLite still waits a little.

        Raises:
            DatabaseUnavailable: nothing is begun; another process holds the file, or it is gone.
        """
        try:
            with told_as_unavailable(self.path):
                self._meet_the_file()
                _begin(self._connection, self._begin, patience_seconds, given_up=given_up)
                if len(jobs) == 1:
                    return [jobs[0](self._connection)]
                return [self._attempt(job) for job in jobs]
        except BaseException:
            self._roll_back()
            raise

    def finish(self, outcomes: Outcomes) -> Outcomes:
        """Make durable what was done; return what is true of each job now."""
        try:
            with told_as_unavailable(self.path):
                self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to those who wait
            self._roll_back()
            return [Raised(error)] * len(outcomes)
        return outcomes

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _meet_the_file(self) -> None:
        """Notice that another file stands under the name: ours would be a deleted one by now."""
        if not self.replaced:
            return
        if not self._replaceable:
            raise DatabaseUnavailable(
                f"{self.path} was deleted or replaced while it was in use; restart the sidecar",
                path=self.path,
                reason="broken",
            )
        opened = self._connect()
        self._connection.close()
        self._connection = opened
        self._identity = identity(self.path)

    def _attempt(self, job: Job[Any]) -> object:
        self._connection.execute("SAVEPOINT job")
        try:
            with told_as_unavailable(self.path):
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
