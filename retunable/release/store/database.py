"""One database, its transactions, and the seam to SQLAlchemy, which no other module here imports.

A writing transaction holds the store's one lock from its beginning, so that numbers have no gap and
the audit has one end. Who acts is what the database says, for SQLite what the login says.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError

from retunable.errors import ConfigurationError, ReleaseStoreError
from retunable.release.store.moments import moment, sqlite_text
from retunable.release.store.points import Reached
from retunable.release.store.queries import DatabaseKind, queries
from retunable.release.store_url import StoreURL, sqlite_release_file, sqlite_release_url

LOCK_SECONDS: Final = 30
ASK_SECONDS: Final = (0.001, 0.01)
CONNECT_SECONDS: Final = 3
IDLE_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class DatabaseIdentity:
    """One database of one running server: equal only where two connections lead to the same one.

    A physical copy that was promoted shares the first two; it did not start at the same moment.
    """

    system_identifier: int
    database_oid: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Transaction:
    """What the functions of this package work in; all of it lands, or nothing.

    ``actor`` is who the database or the login says, ``claimed`` whom the caller names beside it,
    ``now`` the database's clock after the lock was taken. A snapshot has the same shape and only
    reads.
    """

    kind: DatabaseKind
    connection: sqlalchemy.Connection
    actor: str
    now: datetime
    claimed: str | None
    reached: Reached
    immutable: dict[tuple[str, str, int], Any] = field(default_factory=dict)
    """Rows that never change, by kind, agent and number, once they were read here."""

    def rows(self, query: str, **values: Any) -> Sequence[sqlalchemy.Row[Any]]:
        """Run a named statement and return all its rows."""
        return _execute(self.connection, self.kind, query, values).all()

    def first(self, query: str, **values: Any) -> sqlalchemy.Row[Any] | None:
        """Run a named statement and return its first row."""
        return _execute(self.connection, self.kind, query, values).first()

    def run(self, query: str, **values: Any) -> None:
        """Run a named statement that gives no row."""
        _execute(self.connection, self.kind, query, values)

    def each(self, query: str, **values: Any) -> Iterator[sqlalchemy.Row[Any]]:
        """Run a named statement and give its rows one by one, a thousand in memory."""
        with _execute(self.connection, self.kind, query, values, yield_per=1000) as result:
            yield from result

    def identity(self) -> DatabaseIdentity | None:
        """Return which PostgreSQL database this is; None for SQLite."""
        if self.kind == "sqlite":
            return None
        row = _execute(self.connection, self.kind, "identity", {}).one()
        return DatabaseIdentity(
            int(row.system_identifier), int(row.database_oid), moment(row.started_at)
        )

    @property
    def driver_connection(self) -> Any:
        """The driver's own connection, inside this transaction: psycopg's or sqlite3's.

        A publication into the same PostgreSQL database goes through it.
        """
        return self.connection.connection.driver_connection


def os_login() -> str:
    """Return the operating system's name for whoever runs this process, no variable asked."""
    import pwd  # not on Windows, where this package has never run

    return pwd.getpwuid(os.getuid()).pw_name


@dataclass(frozen=True, slots=True)
class Database:
    """An opened release store database; ``shown`` names it without a password."""

    kind: DatabaseKind
    engine: sqlalchemy.Engine
    shown: str
    reached: Reached
    login: Callable[[], str] = field(default=os_login)

    @contextmanager
    def transaction(self, *, claimed: str | None = None) -> Iterator[Transaction]:
        """Begin to write: waits for the lock, commits at the end, rolls back on an exception.

        Raises:
            ReleaseStoreError: the database is away or refuses; nothing was written.
        """
        options = {"begin": "BEGIN IMMEDIATE"} if self.kind == "sqlite" else {}
        with self._begun(options) as connection:
            if self.kind == "postgresql":
                _execute(connection, self.kind, "lock", {})
            yield self._transaction(connection, claimed)

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Begin to read: everything inside is one moment of the store.

        Raises:
            ReleaseStoreError: the database is away or refuses.
        """
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._begun(options if self.kind == "postgresql" else {}) as connection:
            yield self._transaction(connection, None)

    def write_ahead(self) -> None:
        """Let readers of a SQLite file read while one writes; the file remembers it.

        Raises:
            ReleaseStoreError: another process holds the file; nothing was changed.
        """
        # In no transaction. SQLite itself does not wait for this where somebody else writes.
        with self._connected() as connection:
            _execute_in_turn(connection, "PRAGMA journal_mode = WAL")

    def identity(self) -> DatabaseIdentity | None:
        """Return which database this is, to prove that another connection has the same one."""
        with self.snapshot() as work:
            return work.identity()

    @contextmanager
    def _begun(self, options: dict[str, Any]) -> Iterator[sqlalchemy.Connection]:
        with self._connected() as connection:
            prepared = connection.execution_options(**options)
            with prepared.begin():
                yield prepared

    @contextmanager
    def _connected(self) -> Iterator[sqlalchemy.Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            tell = _sqlite_reason if self.kind == "sqlite" else _reason
            raise ReleaseStoreError(tell(error, self.shown)) from error

    def _transaction(self, connection: sqlalchemy.Connection, claimed: str | None) -> Transaction:
        row = _execute(connection, self.kind, "login", {}).one()
        return Transaction(
            kind=self.kind,
            connection=connection,
            actor=row.actor or self.login(),
            now=moment(row.at),
            claimed=claimed,
            reached=self.reached,
        )


def connect(url: str, *, reached: Reached, login: Callable[[], str] = os_login) -> Database:
    """Return the database of ``postgresql://…`` or ``sqlite:///path/to/file.db``.

    Raises:
        ConfigurationError: there is no release store of such a URL.
    """
    if (file := sqlite_release_file(url)) is not None:
        shown = sqlite_release_url(file)
        return Database("sqlite", _sqlite_engine(file), shown, reached, login)
    if not url.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError(
            "releases are kept in PostgreSQL or SQLite: postgresql://user@localhost:5432/database, "
            "sqlite:///.retunable/releases.db below this folder, or with a full path after a "
            "fourth slash"
        )
    store = StoreURL.parse(url)
    return Database("postgresql", _postgres_engine(store.text), store.shown, reached, login)


def _postgres_engine(conninfo: str) -> sqlalchemy.Engine:
    import psycopg

    def open_connection() -> psycopg.Connection[Any]:
        # libpq reads its own URL: several hosts, a socket's folder, sslmode.
        connection = psycopg.connect(
            conninfo, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="retune"
        )
        connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        # A process that is stopped inside a transaction would hold the lock of all for ever.
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
        connection.autocommit = False
        return connection

    return sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=open_connection,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
    )


def _sqlite_engine(path: Path) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(
        URL.create("sqlite", database=str(path)),
        # Python's own BEGIN would come only with the first write, too late to hold the lock.
        connect_args={"isolation_level": None, "timeout": LOCK_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        for pragma in ("foreign_keys = ON", "recursive_triggers = ON", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: sqlalchemy.Connection) -> None:
        wanted = connection.get_execution_options().get("begin", "BEGIN")
        if wanted == "BEGIN":
            connection.exec_driver_sql(wanted)
        else:
            _execute_in_turn(connection, wanted)

    return engine


def _execute_in_turn(connection: sqlalchemy.Connection, wanted: str) -> None:
    """Run a statement that takes the write lock, asking as often the whole time.

    SQLite's own patience asks ever more rarely, so that whoever came last is the next: of 20
    processes that wrote 50 times each on a busy machine, one starved for 30 s.
    """
    driver: Any = connection.connection.driver_connection
    deadline = time.monotonic() + LOCK_SECONDS
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                driver.execute(wanted)
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise OperationalError(wanted, None, error) from error
                time.sleep(random.uniform(*ASK_SECONDS))
            else:
                return
    finally:
        driver.execute(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}")


def _execute(
    connection: sqlalchemy.Connection,
    kind: DatabaseKind,
    query: str,
    values: dict[str, Any],
    **options: Any,
) -> sqlalchemy.CursorResult[Any]:
    if kind == "sqlite":
        values = {
            name: sqlite_text(value) if isinstance(value, datetime) else value
            for name, value in values.items()
        }
    statement = sqlalchemy.text(queries(kind)[query])
    return connection.execute(statement, values, execution_options=options)


def _sqlite_reason(error: DBAPIError, shown: str) -> str:
    said = str(error.orig)
    if "readonly database" in said or "unable to open" in said:
        file = sqlite_release_file(shown)
        return (
            f"the release store {file} cannot be used ({said}); make it and its folder writable "
            "for this user: SQLite writes beside a file that it reads, too"
        )
    return _reason(error, shown)


def _reason(error: DBAPIError, shown: str) -> str:
    said = " ".join(str(error.orig).split())
    where = f"the release store at {shown}"
    sqlstate = getattr(error.orig, "sqlstate", None)
    if "no such table" in said or sqlstate == "42P01":
        return f"{where} has no tables of ours ({said}); let the tables' owner run: retune migrate"
    if sqlstate == "42501":
        return f"{where} refuses: {said}; log in with a role of sql/roles.sql that may do this"
    if "locked" in said or sqlstate in {"55P03", "40001", "23505"}:
        return f"{where} is being written by somebody else ({said}); nothing was written, try again"
    if error.connection_invalidated:
        return f"{where} was lost on the way ({said}); look whether it was written: retune audit"
    if sqlstate is None and "psycopg" in type(error.orig).__module__:
        return f"{where} cannot be reached ({said}); start it, or name another"
    return f"{where} refuses: {said}"
