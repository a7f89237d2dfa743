"""Where a release store lives in a test: a database of its own, on either kind of server."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dev.resources import CHECKOUT
from retunable.release.store.database import connect, os_login
from retunable.release.store.migration import migrate
from retunable.release.store.points import Reached, ignored
from retunable.release.store.release_store import ReleaseStore, open_release_store, set_up

if TYPE_CHECKING:
    from pathlib import Path

    from dev.postgres import PostgresServer
    from retunable.release.store.queries import DatabaseKind

SQL = CHECKOUT / "sql"


class Home(ABC):
    """One empty database. ``raw`` is what psql or the sqlite3 shell would do, as its owner."""

    kind: DatabaseKind
    url: str
    refusals: type[Exception] | tuple[type[Exception], ...]

    def set_up(self) -> None:
        set_up(self.url)

    def migrate(self, *, to: str) -> None:
        """Bring the schema to one revision, as an older package would have left it."""
        database = connect(self.url, reached=ignored)
        migrate(database, to=to)
        database.engine.dispose()

    def open(self, *, person: str | None = None, reached: Reached = ignored) -> ReleaseStore:
        """Open the store, as its owner or as somebody else."""
        url = self.url if person is None else self.url_of(person)
        login = os_login if person is None else lambda: person
        return open_release_store(url, reached=reached, login=login)

    @property
    @abstractmethod
    def owner(self) -> str: ...

    @abstractmethod
    def url_of(self, person: str) -> str: ...

    @abstractmethod
    def raw(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements in one transaction and return the last one's rows."""

    @abstractmethod
    def unguarded(self, *statements: str) -> None:
        """Run statements with every trigger switched off, and on again afterwards."""


class SqliteHome(Home):
    kind: DatabaseKind = "sqlite"
    refusals = sqlite3.DatabaseError

    def __init__(self, file: Path) -> None:
        self.file = file
        self.url = f"sqlite:///{file}"

    @property
    def owner(self) -> str:
        return os_login()

    def url_of(self, person: str) -> str:  # noqa: ARG002 - who acts is the login's word here
        return self.url

    def raw(self, *statements: str) -> list[tuple[Any, ...]]:
        # No pragma is set: this is what the shell has, recursive_triggers off.
        with closing(sqlite3.connect(self.file)) as connection, connection:
            answers = [connection.execute(statement).fetchall() for statement in statements]
            return answers[-1]

    def unguarded(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            found = connection.execute(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
            ).fetchall()
            for name, _ in found:
                connection.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                connection.execute(statement)
            for _, text in found:
                connection.execute(text)


class PostgresHome(Home):
    kind: DatabaseKind = "postgresql"
    refusals = psycopg.Error

    def __init__(self, server: PostgresServer, database: str) -> None:
        self.server = server
        self.database = database
        self.url = server.url_of(database)
        self._people: set[str] = set()

    @property
    def owner(self) -> str:
        return "postgres"

    def url_of(self, person: str) -> str:
        if person not in self._people:
            self._people.add(person)
            self.login(person, "retunable_author", "retunable_publisher")
        return self.server.url_of(self.database, user=person)

    def login(self, name: str, *roles: str) -> str:
        """Give somebody a login with some roles of sql/roles.sql; return their URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            if not connection.execute(_ROLES).fetchall():
                connection.execute((SQL / "configuration.sql").read_bytes())
                connection.execute((SQL / "roles.sql").read_bytes())
            known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchall()
            if not known:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
            for role in roles:
                grant = sql.SQL("GRANT {} TO {}")
                connection.execute(grant.format(sql.Identifier(role), sql.Identifier(name)))
        return self.server.url_of(self.database, user=name)

    def raw(self, *statements: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            cursors = [connection.execute(statement.encode()) for statement in statements]
            return cursors[-1].fetchall() if cursors[-1].description else []

    def unguarded(self, *statements: str) -> None:
        tables = [name for (name,) in self.raw(_TABLES)]
        off = [f"ALTER TABLE {name} DISABLE TRIGGER ALL" for name in tables]
        on = [
            f'ALTER TABLE {table} ENABLE {"ALWAYS " if always else ""}TRIGGER "{name}"'
            for table, name, always in self.raw(_TRIGGERS)
        ]
        self.raw(*off, *statements, *on)


_TABLES = r"SELECT relname FROM pg_class WHERE relname LIKE 'release\_%' AND relkind = 'r'"
_TRIGGERS = r"""SELECT relname, tgname, NOT tgisinternal FROM pg_trigger
    JOIN pg_class ON pg_class.oid = tgrelid WHERE relname LIKE 'release\_%'"""
_ROLES = """SELECT FROM pg_class WHERE oid = to_regclass('configuration')
    AND relacl::text LIKE '%retunable_agent%'"""
