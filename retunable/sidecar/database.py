"""One SQLite file of a running sidecar: one writer for all its rooms, and one reader.

``write`` and ``read`` take a function of a connection inside a transaction. It is synchronous and
knows no event loop, so a room's SQL is tested on a plain connection.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from retunable.errors import DatabaseUnavailable
from retunable.sidecar.connection import Schema, connect
from retunable.sidecar.files import check_writable, make_private_file
from retunable.sidecar.group_commit import GroupCommit
from retunable.sidecar.transactions import PATIENCE_SECONDS, Job, Result, Transactions

CLOSE_SECONDS: Final = 3.0
RETRY_SECONDS: Final = 0.2

_VACUUMED_PAGES: Final = 512


class Database:
    """An open file. Everybody in this process who writes to it shares this one object."""

    def __init__(self, path: Path, *, writer: GroupCommit, reader: GroupCommit) -> None:
        self.path = path
        self._writer = writer
        self._reader = reader

    @classmethod
    def open(
        cls,
        path: Path,
        schemas: Sequence[Schema],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        replaceable: bool = False,
    ) -> Self:
        """Open or make a file with the tables of all rooms that share it.

        ``patience_seconds`` is how long a call waits while another process holds the file.
        ``replaceable``: other processes write the file too, and may delete it while it is used; a
        new one is used then.

        Raises:
            DataUnusable: it cannot be used; the message says why.
        """

        def read_only() -> sqlite3.Connection:
            connection = connect(path, schemas)
            connection.execute("PRAGMA query_only = ON")
            return connection

        make_private_file(path)
        check_writable(path)
        common: Any = {"path": path, "replaceable": replaceable}
        return cls(
            path,
            writer=GroupCommit(
                Transactions(lambda: connect(path, schemas), begin="BEGIN IMMEDIATE", **common),
                patience_seconds=patience_seconds,
                on_loop=not replaceable,
            ),
            reader=GroupCommit(
                Transactions(read_only, begin="BEGIN", **common),
                patience_seconds=patience_seconds,
                on_loop=True,  # in WAL mode no writer keeps a reader waiting
            ),
        )

    async def write(self, job: Job[Result], *, long: bool = False) -> Result:
        """Run a job in a transaction; when this returns, what it did survives a power cut.

        A job that raises has changed nothing. If the caller is cancelled before the job began, it
        never runs. ``long`` is one that would hold up the event loop.

        Raises:
            DatabaseUnavailable: nothing was changed.
        """
        return await self._writer.submit(job, long=long)

    async def write_sometime(self, job: Job[Result], *, long: bool = False) -> Result:
        """Write as ``write`` does, again and again while the file is busy or the disk full.

        For results that their sender would not send a second time.
        """
        while True:
            try:
                return await self.write(job, long=long)
            except DatabaseUnavailable as error:
                if error.reason not in ("busy", "full"):
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    async def read(self, job: Job[Result], *, long: bool = False) -> Result:
        """Run a job that only reads; all it sees stood there at the same moment.

        ``long`` is one that would hold up the event loop.

        Raises:
            DatabaseUnavailable: the file cannot be read.
        """
        return await self._reader.submit(job, long=long)

    async def vacuum(self) -> None:
        """Give the file's free pages back to the disk, a few milliseconds of the writer at a time."""
        while await self.write(_vacuum, long=True) == _VACUUMED_PAGES:
            pass

    def close(self) -> None:
        """Finish what was asked, then close the file; returns within ``CLOSE_SECONDS``."""
        self._reader.close(within_seconds=CLOSE_SECONDS / 2)
        self._writer.close(within_seconds=CLOSE_SECONDS / 2)


def _vacuum(connection: sqlite3.Connection) -> int:
    """Free some pages; returns how many."""
    free = int(connection.execute("PRAGMA freelist_count").fetchone()[0])
    freed = min(free, _VACUUMED_PAGES)
    for _ in range(freed):
        # One page each: Python's sqlite3 makes one step of a pragma, and each step frees a page.
        connection.execute("PRAGMA incremental_vacuum(1)")
    return freed
