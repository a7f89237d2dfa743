"""Asks SQLite about an embedded sidecar's configuration file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from retunable.cli.doctor.sqlite_store import SQLiteFacts
from retunable.release.sqlite_writer import SQLiteWriter


def sqlite_facts(writer: SQLiteWriter, *, path: Path, secret_key: str) -> SQLiteFacts:
    """Fetch what the checks look at."""
    check = _check(path)
    sound = check == "ok"
    return SQLiteFacts(
        path=path,
        mode=path.stat().st_mode & 0o777,
        check=check,
        secret_key=secret_key if sound and writer.read([secret_key]) else None,
    )


def _check(path: Path) -> str:
    try:
        with closing(sqlite3.connect(path)) as connection:
            ((said,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.DatabaseError as error:
        return str(error)
    return str(said)
