"""Opens a release store and makes sure that its schema is the one that this package writes.

SQLite sets itself up; on PostgreSQL the owner does (``set_up``), for an application owns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from retunable.errors import ReleaseStoreError
from retunable.release.store.database import (
    Database,
    DatabaseIdentity,
    Transaction,
    connect,
    os_login,
)
from retunable.release.store.points import Point, Reached, ignored
from retunable.release.store.queries import SCHEMA_REVISION, DatabaseKind


class ReleaseStore:
    """One opened release store; a context manager that closes it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def kind(self) -> DatabaseKind:
        return self._database.kind

    @contextmanager
    def transaction(self, *, claimed: str | None = None) -> Iterator[Transaction]:
        """Begin to write; ``claimed`` is a name to record beside the one that is logged in.

        Waits for the store's lock, commits at the end, rolls back on an exception.

        Raises:
            ReleaseStoreError: the database is away or refuses; nothing was written.
        """
        with self._database.transaction(claimed=claimed) as work:
            yield work

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Begin to read; everything inside is one moment of the store. Raises as above."""
        with self._database.snapshot() as work:
            yield work

    def reached(self, point: Point) -> None:
        """Tell the test that waits for it that an activation has come this far."""
        self._database.reached(point)

    def identity(self) -> DatabaseIdentity | None:
        """Return which PostgreSQL database this is; None for SQLite."""
        return self._database.identity()

    def describe(self) -> str:
        """Say which store this is, without its password."""
        return self._database.shown

    def close(self) -> None:
        """Let its connections go."""
        self._database.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def open_release_store(
    url: str, *, reached: Reached = ignored, login: Callable[[], str] = os_login
) -> ReleaseStore:
    """Open ``postgresql://…`` or ``sqlite:///path/to/file.db``, which is made if it is not there.

    ``reached`` is told the named points of an activation; ``login`` says who acts on SQLite.

    Raises:
        ConfigurationError: there is no release store of such a URL.
        ReleaseStoreError: it is away, refuses, or its schema is not this package's.
    """
    database = connect(url, reached=reached, login=login)
    store = ReleaseStore(database)
    try:
        _make_ready(database)
    except BaseException:
        store.close()
        raise
    return store


@dataclass(frozen=True, slots=True)
class SetUp:
    """What ``set_up`` did: the schema's revision before (None: no tables of ours) and now."""

    store: str
    before: str | None
    revision: str


def set_up(url: str) -> SetUp:
    """Create or upgrade the tables of a release store as their owner; what stands is kept.

    Raises:
        ConfigurationError: there is no release store of such a URL.
        ReleaseStoreError: the database is away, the login may not, or a newer package has been
            there; nothing was changed.
    """
    database = connect(url, reached=ignored)
    try:
        _make_folder(database)
        before = schema_revision(database)
        _check_known(database, before)
        if before != SCHEMA_REVISION:
            _migrate(database)
        return SetUp(database.shown, before, schema_revision(database) or "")
    finally:
        database.engine.dispose()


def schema_revision(database: Database) -> str | None:
    """Return the migration that the schema stands at; None where there is none of ours."""
    with database.snapshot() as work:
        found = work.first("schema_exists")
        if found is None or not found.found:
            return None
        row = work.first("schema_revision")
        return None if row is None else str(row.version_num)


def _make_ready(database: Database) -> None:
    _make_folder(database)
    revision = schema_revision(database)
    if revision == SCHEMA_REVISION:
        return
    _check_known(database, revision)
    if database.kind == "postgresql":
        state = "has no tables of ours" if revision is None else f"has schema {revision}"
        raise ReleaseStoreError(
            f"the release store at {database.shown} {state}, this package writes "
            f"{SCHEMA_REVISION}; let the tables' owner run: retune migrate"
        )
    _migrate(database)


def _make_folder(database: Database) -> None:
    if database.kind != "sqlite":
        return
    folder = Path(database.engine.url.database or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReleaseStoreError(
            f"the release store's folder {folder} cannot be made ({error.strerror}); make it for "
            "this user, or name another one: sqlite:///path/to/file.db"
        ) from error


def _check_known(database: Database, revision: str | None) -> None:
    if revision is not None and revision > SCHEMA_REVISION:
        raise ReleaseStoreError(
            f"the release store at {database.shown} has schema {revision}, this package knows "
            f"{SCHEMA_REVISION}; install a newer retunable"
        )


def _migrate(database: Database) -> None:
    from retunable.release.store.migration import migrate  # Alembic, where it is needed

    migrate(database)
