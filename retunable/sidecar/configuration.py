"""The configuration file: what it holds, how it is read, and how any process writes it.

A write is atomic and may name what must still stand. Who is told of a change is decided elsewhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from retunable.config.items import Item, Items, Unreadable, present
from retunable.sidecar.connection import Schema, connect, told_as_unavailable
from retunable.sidecar.transactions import PATIENCE_SECONDS, Job, Result, run_alone

DEFAULT_STORE: Final = "runtime-config"

Decision = Callable[[Items], tuple[Result, Mapping[str, str | None]]]
"""From what stands to a result and to what is set or deleted (None)."""

# The triggers count for whoever writes, a person with the sqlite3 shell too. The counter belongs
# to the file: a key that is deleted and set again gets a higher version than before.
SCHEMA: Final = Schema(
    "configuration",
    (
        """
        CREATE TABLE configuration (
            store TEXT NOT NULL,
            key TEXT NOT NULL,
            value TEXT NOT NULL,
            version INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (store, key)
        );
        CREATE TABLE configuration_counter (version INTEGER NOT NULL);
        INSERT INTO configuration_counter VALUES (0);
        CREATE TRIGGER configuration_inserted AFTER INSERT ON configuration BEGIN
            UPDATE configuration_counter SET version = version + 1;
            UPDATE configuration SET version = (SELECT version FROM configuration_counter)
            WHERE rowid = NEW.rowid;
        END;
        CREATE TRIGGER configuration_updated AFTER UPDATE OF store, key, value ON configuration BEGIN
            UPDATE configuration_counter SET version = version + 1;
            UPDATE configuration SET version = (SELECT version FROM configuration_counter)
            WHERE rowid = NEW.rowid;
        END;
        """,
    ),
)


class ConfigurationFile:
    """One store in a configuration file, for a process that is no sidecar; its calls block.

    Raises DatabaseUnavailable from every method where the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        store: str = DEFAULT_STORE,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.path = path
        self.store = store
        self._patience_seconds = patience_seconds

    def read(self, keys: Collection[str]) -> dict[str, Item | Unreadable]:
        """Return what stands under these keys at one moment; every key where none is named."""
        with closing(connect(self.path, [SCHEMA])) as connection, told_as_unavailable(self.path):
            return read_items(connection, self.store, keys)

    def write(
        self,
        changes: Mapping[str, str | None],
        *,
        expect: Mapping[str, Item | Unreadable | None] | None = None,
    ) -> tuple[str, ...]:
        """Set or delete (None) several keys at once, if what is expected still stands.

        Returns the keys under which something else stands; then nothing was written.
        """
        return self._alone(
            lambda inside: write_items(inside, self.store, changes, expect=expect or {})
        )

    def decide(self, keys: Collection[str], decision: Decision[Result]) -> Result:
        """Write what is decided from what stands under these keys; nobody writes in between.

        Returns what was decided beside the changes.
        """

        def act(inside: sqlite3.Connection) -> Result:
            result, changes = decision(present(read_items(inside, self.store, keys)))
            write_items(inside, self.store, changes, expect={})
            return result

        return self._alone(act)

    def _alone(self, job: Job[Result]) -> Result:
        with closing(connect(self.path, [SCHEMA])) as connection:
            return run_alone(
                connection, job, path=self.path, patience_seconds=self._patience_seconds
            )


def read_items(
    connection: sqlite3.Connection, store: str, keys: Collection[str]
) -> dict[str, Item | Unreadable]:
    """Return the items of a store; every one where no key is named."""
    # As bytes: another program can have stored what is no text.
    statement = "SELECT key, CAST(value AS BLOB), version FROM configuration WHERE store = ?"
    if keys:
        statement += f" AND key IN ({', '.join('?' * len(keys))})"
    rows = connection.execute(statement, (store, *keys))
    return {key: _item(value, version) for key, value, version in rows}


def changed_items(before: Items, after: Items) -> dict[str, Item | Unreadable | None]:
    """Return what stands now under the keys that were set, changed or deleted; None: deleted.

    By value and version: a new file in the place of a deleted one counts from 1 again.
    """
    keys = before.keys() | after.keys()
    return {key: after.get(key) for key in keys if before.get(key) != after.get(key)}


def write_items(
    connection: sqlite3.Connection,
    store: str,
    changes: Mapping[str, str | None],
    *,
    expect: Mapping[str, Item | Unreadable | None],
) -> tuple[str, ...]:
    """Write inside a transaction that its caller began; returns the keys that are not as expected."""
    standing = present(read_items(connection, store, expect)) if expect else {}
    differing = tuple(key for key, item in expect.items() if standing.get(key) != item)
    if differing:
        return differing
    for key, value in changes.items():
        if value is None:
            connection.execute(
                "DELETE FROM configuration WHERE store = ? AND key = ?", (store, key)
            )
        else:
            connection.execute(
                "INSERT INTO configuration (store, key, value) VALUES (?, ?, ?) "
                "ON CONFLICT (store, key) DO UPDATE SET value = excluded.value",
                (store, key, value),
            )
    return ()


def _item(value: bytes, version: object) -> Item | Unreadable:
    try:
        return Item(value.decode(), str(version))
    except UnicodeDecodeError:
        return Unreadable("is not valid UTF-8")
