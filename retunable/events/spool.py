"""Events that wait on disk until the broker has them: a bounded queue in one SQLite file.

SQLite over segments of our own: a killed process leaves a whole file, one event among many is
deleted in place, and replicas that share a folder share the file. Whoever takes events holds them
for a while, so that two replicas seldom send the same one; one that dies lets them go by itself.
Blocking, for one thread at a time; who waits and who sends is decided in ``outbox``.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from retunable.events.encoding import Encoded, encoded
from retunable.events.event import Event

logger = logging.getLogger("retunable")

MOST_EVENTS: Final = 100_000
"""About 60 MB: half a day of a run a second, or a day and a half of one replica that is busy."""
HELD_MS: Final = 15_000
"""Longer than publishing one event may take."""

_BUSY_SECONDS: Final = 2.0
_ASK_SECONDS: Final = 0.01
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id      TEXT    NOT NULL UNIQUE,
    kind          TEXT    NOT NULL,
    body          BLOB    NOT NULL,
    held_until_ms INTEGER NOT NULL DEFAULT 0
)
"""


def spool_name(agent: str, environment: str) -> str:
    """Return a file name that people recognise and that no other agent of the folder has."""
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", f"{environment}-{agent}")
    identity = hashlib.sha256(f"{environment}\0{agent}".encode()).hexdigest()
    return f"events-{readable[:80]}-{identity[:12]}.db"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One event that waits, and its place in the queue."""

    number: int
    event: Encoded


class Spool:
    """The queue of one agent; ``most_events`` bounds it, and the oldest go first.

    The oldest, for an outcome repeats its exposure and not the other way: where the newest went,
    every run of an outage would be one that never ended.
    """

    def __init__(self, path: Path | None, *, most_events: int = MOST_EVENTS) -> None:
        """Open the file, in memory where ``path`` is None or no file can be had there."""
        self._most_events = most_events
        self._connection, self.on_disk = _opened(path)
        self._room = most_events - len(self)

    def append(self, events: Sequence[Event]) -> int:
        """Keep events, each once; return how many older ones had to go for them.

        Raises:
            sqlite3.Error: the disk does not take them; none is kept.
        """
        told = map(encoded, events)
        rows = [(event.event_id, event.kind, event.data) for event in told]
        with _transaction(self._connection) as write:
            write.executemany(
                "INSERT OR IGNORE INTO events (event_id, kind, body) VALUES (?, ?, ?)", rows
            )
            return self._bound(write, len(rows))

    def take(self, most: int, *, now_ms: int) -> tuple[Waiting, ...]:
        """Return the oldest events that nobody holds, and hold them for ``HELD_MS``.

        Raises:
            sqlite3.Error: the disk does not answer.
        """
        with _transaction(self._connection) as write:
            # A hold that ends later than any hold can was made before the clock was put back.
            free = "held_until_ms <= :now OR held_until_ms > :now + :held"
            found = write.execute(
                f"SELECT number, event_id, kind, body FROM events WHERE {free} ORDER BY number LIMIT :most",  # noqa: S608 - text of ours
                {"now": now_ms, "held": HELD_MS, "most": most},
            ).fetchall()
            held = [(now_ms + HELD_MS, number) for number, *_ in found]
            write.executemany("UPDATE events SET held_until_ms = ? WHERE number = ?", held)
        return tuple(Waiting(number, Encoded(*event)) for number, *event in found)

    def done(self, sent: Sequence[Waiting]) -> None:
        """Let events go that the broker has. Raises sqlite3.Error: they are sent again."""
        with _transaction(self._connection) as write:
            numbers = [(waiting.number,) for waiting in sent]
            write.executemany("DELETE FROM events WHERE number = ?", numbers)

    def give_back(self, unsent: Sequence[Waiting]) -> None:
        """Hold events no more. Raises sqlite3.Error: they are free after ``HELD_MS``."""
        with _transaction(self._connection) as write:
            numbers = [(waiting.number,) for waiting in unsent]
            write.executemany("UPDATE events SET held_until_ms = 0 WHERE number = ?", numbers)

    def __len__(self) -> int:
        (count,) = self._connection.execute("SELECT count(*) FROM events").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file; what it holds stays."""
        self._connection.close()

    def _bound(self, write: sqlite3.Connection, added: int) -> int:
        self._room -= added
        if self._room >= 0:
            return 0
        # Counting 100,000 rows takes 2 ms: only where it may have become too many.
        excess = len(self) - self._most_events
        self._room = max(-excess, 0)
        if excess <= 0:
            return 0
        oldest = "SELECT number FROM events ORDER BY number LIMIT ?"
        write.execute(f"DELETE FROM events WHERE number IN ({oldest})", (excess,))  # noqa: S608 - text of ours
        return excess


def _opened(path: Path | None) -> tuple[sqlite3.Connection, bool]:
    """Open the file of a path, one begun anew where it is corrupt; else a queue in memory."""
    if path is not None:
        try:
            return _opened_file(path), True
        except (sqlite3.Error, OSError) as error:
            logger.warning(
                "events cannot be kept in %s (%s); they wait in memory, and are lost with the process",
                path,
                error,
            )
    return _prepared(sqlite3.connect(":memory:", check_same_thread=False)), False


def _opened_file(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    try:
        return _prepared(_connected(path))
    except sqlite3.OperationalError:
        raise  # locked, full, read-only: nothing is wrong with what it holds
    except sqlite3.DatabaseError as error:
        aside = path.with_suffix(".corrupt")
        logger.warning("the events in %s are corrupt (%s); set aside as %s", path, error, aside)
        path.replace(aside)
        for beside in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + beside).unlink()
        path.touch(mode=0o600)
        return _prepared(_connected(path))


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    try:
        connection.isolation_level = None
        # A kill -9 loses nothing that was committed; a power cut may lose the last moments, and
        # spares an fsync at each run.
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let one process read while another writes, and wait for one that makes the file as well.

    SQLite does not wait here where another one holds the write lock: of 48 processes that began
    with a new file, six at a time, one kept its events in memory.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(_ASK_SECONDS)
        else:
            return


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
