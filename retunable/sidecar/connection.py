"""Opens a SQLite file as the embedded sidecar keeps it: private, durable, upgraded in place.

Several rooms share a file, each with a schema of its own that grows by migrations. What SQLite's
errors mean is told in one place here.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from retunable.errors import DatabaseUnavailable
from retunable.sidecar.files import make_private_file

BUSY_SECONDS: Final = 0.25
"""How long SQLite itself waits for another process; whoever can wait longer tries again."""

OPEN_SECONDS: Final = 5.0

_LONGEST_WAL_BYTES: Final = 16 * 1024 * 1024

Reason = Literal["busy", "full", "read-only", "broken"]

_REASONS: Final[dict[int, Reason]] = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_FULL: "full",
    # A disk that is full while the -shm file grows is reported like this.
    sqlite3.SQLITE_IOERR: "full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_CANTOPEN: "read-only",
    sqlite3.SQLITE_PERM: "read-only",
    sqlite3.SQLITE_CORRUPT: "broken",
    sqlite3.SQLITE_NOTADB: "broken",
}

_ADVICE: Final[dict[Reason, str]] = {
    "busy": "another process holds its lock; end what has it open",
    "full": "make room on the disk; what was asked can then be asked again",
    "read-only": "make the file and its folder writable for this user",
    "broken": "move it away; the sidecar begins with an empty one",
}


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one room in a file; migration N is a script that leads from version N to N+1.

    Each statement of a script ends at the end of a line. Migrations are only ever appended: data written by every released version is upgraded.
    """

    name: str
    migrations: tuple[str, ...]


def connect(path: Path, schemas: Sequence[Schema] = ()) -> sqlite3.Connection:
    """Open a file for one thread at a time, in autocommit, with its tables up to date.

    Raises:
        DatabaseUnavailable: it cannot be written, is locked for seconds, or is newer than this
            program.
    """
    make_private_file(path)
    deadline = time.monotonic() + OPEN_SECONDS
    while True:
        try:
            return _connect(path, schemas)
        except DatabaseUnavailable as error:
            # The first opening of a new file needs it alone, and SQLite does not wait for that.
            if error.reason != "busy" or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def identity(path: Path) -> tuple[int, int] | None:
    """Tell files of one name apart; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def told_as_unavailable(path: Path) -> Iterator[None]:
    """Turn SQLite's failures of the file or disk into DatabaseUnavailable; a wrong SQL stays."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        reason = _REASONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        if reason is None:
            raise
        raise DatabaseUnavailable(
            f"{path} cannot be used ({error}); {_ADVICE[reason]}", path=path, reason=reason
        ) from error


def _connect(path: Path, schemas: Sequence[Schema]) -> sqlite3.Connection:
    with told_as_unavailable(path):
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _set_up(connection)
            if schemas:
                _migrate(connection, schemas, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        # Before the first table, later it would need a whole VACUUM; and not at every opening,
        # for this setting takes the writer's lock.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA journal_size_limit = {_LONGEST_WAL_BYTES}")


def _migrate(connection: sqlite3.Connection, schemas: Sequence[Schema], path: Path) -> None:
    if all(_version(connection, schema) == len(schema.migrations) for schema in schemas):
        return  # without the writer's lock, which somebody may hold for long
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_versions "
            "(name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"
        )
        for schema in schemas:
            _upgrade(connection, schema, path)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _upgrade(connection: sqlite3.Connection, schema: Schema, path: Path) -> None:
    version = _version(connection, schema)
    newest = len(schema.migrations)
    if version > newest:
        raise DatabaseUnavailable(
            f"{path} was written by a newer retunable ({schema.name} is at version {version}, "
            f"this one knows {newest}); install that one again",
            path=path,
            reason="broken",
        )
    for migration in schema.migrations[version:]:
        for statement in _statements(migration):
            connection.execute(statement)
    connection.execute(
        "INSERT INTO schema_versions VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET version = excluded.version",
        (schema.name, newest),
    )


def _version(connection: sqlite3.Connection, schema: Schema) -> int:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_versions'")
    if known.fetchone() is None:
        return 0
    row = connection.execute(
        "SELECT version FROM schema_versions WHERE name = ?", (schema.name,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def _statements(script: str) -> Iterator[str]:
    """Split a script; ``executescript`` would commit the migration's transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
