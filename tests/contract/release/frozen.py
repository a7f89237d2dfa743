"""Stores that older packages wrote, kept as they were: what was saved once is readable for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.contract.release.homes import Home

CORPUS = Path(__file__).with_name("corpus")


def rows_of(revision: str) -> dict[str, list[dict[str, Any]]]:
    """Return the frozen rows by table; ``config`` is in hex."""
    text = (CORPUS / f"revision_{revision}.json").read_text(encoding="utf-8")
    found: dict[str, list[dict[str, Any]]] = json.loads(text)
    return found


def restore(home: Home, revision: str) -> None:
    """Put the frozen rows into a database that stands at their revision, as a restore would."""
    statements = [
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({_literals(row, home.kind)})"  # noqa: S608
        for table, rows in rows_of(revision).items()
        for row in rows
    ]
    home.unguarded(*statements)


def _literals(row: dict[str, Any], kind: str) -> str:
    return ", ".join(_literal(name, value, kind) for name, value in row.items())


def _literal(name: str, value: object, kind: str) -> str:
    match value:
        case None:
            return "NULL"
        case int():
            return str(value)
        case str() if name == "config":
            return f"X'{value}'" if kind == "sqlite" else f"'\\x{value}'"
        case _:
            return "'" + str(value).replace("'", "''") + "'"
