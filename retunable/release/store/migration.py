"""Brings a release store's schema to what this package writes; Alembic is imported only here.

Each step runs its SQL file inside one transaction that holds the store's lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from alembic import command
from alembic.config import Config

from retunable.release.store.database import Database

_SCRIPTS: Final = Path(__file__).with_name("migrations")


def migrate(database: Database, *, to: str = "head") -> None:
    """Apply the migrations that are missing up to ``to``; the login must own the tables.

    Raises:
        ReleaseStoreError: the database refuses; nothing was changed.
    """
    if database.kind == "sqlite":
        database.write_ahead()
    with database.transaction() as work:
        config = Config()
        config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
        config.attributes["connection"] = work.connection
        command.upgrade(config, to)


def run_script(connection: sqlalchemy.Connection, migration: str) -> None:
    """Run the SQL file that stands beside a migration's module for this database."""
    kind = connection.dialect.name
    text = Path(migration).with_suffix(f".{kind}.sql").read_text(encoding="utf-8")
    # The driver's own execute: SQLAlchemy would take ':name' in a function's body for a parameter.
    driver: Any = connection.connection.driver_connection
    for statement in sqlite_statements(text) if kind == "sqlite" else [text]:
        driver.execute(statement)


def sqlite_statements(text: str) -> Iterator[str]:
    """Split a script where SQLite says that a statement is complete; a trigger's body is one."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
