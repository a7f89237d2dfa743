"""State: values under keys, each writing with an etag of its own. SQL and its rules, nothing of Dapr.

Concurrency is as daprd 1.18.2 on SQLite has it (measured): an etag must match what stands; a
first-write without an etag must find nothing; everything else overwrites.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from retunable.sidecar.connection import Schema

DEFAULT_STORE: Final = "statestore"

EXPIRED_ROWS: Final = 1000
"""How many expired values one sweep deletes."""

SCHEMA: Final = Schema(
    "state",
    (
        """
        CREATE TABLE state (
            store TEXT NOT NULL,
            key TEXT NOT NULL,
            value BLOB NOT NULL,
            etag TEXT NOT NULL,
            expires_at REAL,
            PRIMARY KEY (store, key)
        );
        CREATE INDEX state_expiry ON state (expires_at) WHERE expires_at IS NOT NULL;
        """,
    ),
)

# Of the operating system's randomness; a counter would come back after a delete.
_NEW_ETAG: Final = "lower(hex(randomblob(16)))"


@dataclass(frozen=True, slots=True)
class Stored:
    """One value as it stands; ``expires_at`` in seconds since the epoch."""

    value: bytes
    etag: str
    expires_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """Write a value; ``etag`` empty: whatever stands, or with ``first_write`` only over nothing."""

    key: str
    value: bytes
    etag: str = ""
    first_write: bool = False
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete a value; ``etag`` empty: whatever stands."""

    key: str
    etag: str = ""


class EtagMismatch(Exception):
    """Another writing stands than the one that was meant."""


def read_state(
    connection: sqlite3.Connection, store: str, keys: Collection[str], *, now: float
) -> dict[str, Stored]:
    """Return what stands under these keys at one moment; absent and expired ones are left out."""
    marks = ", ".join("?" * len(keys))
    rows = connection.execute(
        "SELECT key, value, etag, expires_at FROM state "  # noqa: S608 - question marks
        f"WHERE store = ? AND (expires_at IS NULL OR expires_at > ?) AND key IN ({marks})",
        (store, now, *keys),
    )
    return {key: Stored(value, etag, expires_at) for key, value, etag, expires_at in rows}


def apply_each(
    connection: sqlite3.Connection, store: str, writings: Iterable[Save | Delete], *, now: float
) -> int:
    """Do what can be done; returns how many writings met another etag."""
    return sum(not _apply(connection, store, writing, now) for writing in writings)


def apply_all(
    connection: sqlite3.Connection, store: str, writings: Iterable[Save | Delete], *, now: float
) -> None:
    """Do all of it.

    Raises:
        EtagMismatch: for the caller to take the transaction back.
    """
    for writing in writings:
        if not _apply(connection, store, writing, now):
            raise EtagMismatch


def delete_expired(connection: sqlite3.Connection, *, now: float) -> int:
    """Delete what nobody can read any more; returns how many."""
    return connection.execute(
        "DELETE FROM state WHERE rowid IN (SELECT rowid FROM state WHERE expires_at <= ? LIMIT ?)",
        (now, EXPIRED_ROWS),
    ).rowcount


def _apply(connection: sqlite3.Connection, store: str, writing: Save | Delete, now: float) -> bool:
    match writing:
        case Save():
            return _save(connection, store, writing, now)
        case Delete():
            return _delete(connection, store, writing, now)


def _save(connection: sqlite3.Connection, store: str, save: Save, now: float) -> bool:
    if save.etag:
        done = connection.execute(
            f"UPDATE state SET value = ?, expires_at = ?, etag = {_NEW_ETAG} "  # noqa: S608 - ours
            "WHERE store = ? AND key = ? AND etag = ? "
            "AND (expires_at IS NULL OR expires_at > ?)",
            (save.value, save.expires_at, store, save.key, save.etag, now),
        )
        return done.rowcount == 1
    condition = "WHERE state.expires_at <= ?" if save.first_write else ""
    done = connection.execute(
        "INSERT INTO state (store, key, value, expires_at, etag) "  # noqa: S608 - ours
        f"VALUES (?, ?, ?, ?, {_NEW_ETAG}) ON CONFLICT (store, key) DO UPDATE SET "
        f"value = excluded.value, expires_at = excluded.expires_at, etag = excluded.etag {condition}",
        (store, save.key, save.value, save.expires_at, *((now,) if save.first_write else ())),
    )
    return done.rowcount == 1


def _delete(connection: sqlite3.Connection, store: str, delete: Delete, now: float) -> bool:
    if not delete.etag:
        connection.execute("DELETE FROM state WHERE store = ? AND key = ?", (store, delete.key))
        return True
    done = connection.execute(
        "DELETE FROM state WHERE store = ? AND key = ? AND etag = ? "
        "AND (expires_at IS NULL OR expires_at > ?)",
        (store, delete.key, delete.etag, now),
    )
    return done.rowcount == 1
