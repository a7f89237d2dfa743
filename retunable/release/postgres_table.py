"""The configuration table on one PostgreSQL connection: rows of Dapr's four columns.

Raises each row's version itself, which our own trigger and Dapr's documented table both take.
Whose connection and transaction it is, is the caller's business: the release store's own, where
both are one database.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import psycopg
from psycopg import sql

from retunable.config.items import Item, Items
from retunable.errors import StoreWriteError
from retunable.release.landing import Landed, Landing, Moved, Publication, deletions, judge
from retunable.release.writer import Change, Expected

ATTEMPTS: Final = 50
Connection = psycopg.Connection[tuple[Any, ...]]
Row = tuple[Any, ...]


class ConfigurationTable:
    """One table of one database; psycopg's errors pass through."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._table = sql.Identifier(*name.split("."))

    def items(self, keys: Collection[str]) -> Items:
        """Return what stands under these keys; of several rows the highest version, as Dapr."""
        return _newest(self._rows(keys))

    def write(self, changes: Mapping[str, Change], expect: Expected) -> None:
        """Write all changes in one transaction, if what is expected still stands there.

        Raises:
            StoreWriteError: it does not, or a version is no number.
        """
        with self._connection.transaction():
            rows = self._rows(sorted({*changes, *expect}), lock=True)
            items = _newest(rows)
            for key, expected in expect.items():
                if items.get(key) != expected:
                    raise changed(key)
            for key in sorted(changes):
                self._change(key, changes[key], _of(key, rows))

    def publish(self, publication: Publication) -> Landing:
        """Judge what stands and put the document in its place, comparing again as it writes.

        Nothing is locked while this process decides, so one that is stopped there stops nobody.
        Inside a transaction of the caller it is a part of that.

        Raises:
            StoreWriteError: the document's version is no number.
        """
        for _ in range(ATTEMPTS):
            rows = self._rows(publication.keys)
            items = _newest(rows)
            landing = judge(publication, items)
            if landing != Landed() or self._swap(publication, items, rows):
                return landing
        return Moved((publication.key,))

    def _swap(self, publication: Publication, items: Items, rows: list[Row]) -> bool:
        """Write if the rows are still as they were read; tell whether they were."""
        key, text = publication.key, publication.text
        try:
            with self._connection.transaction():
                # Two publishers of one new key: a table without a primary key would take both.
                self._connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [key])
                self._put(key, text, _of(key, rows))
                for override in deletions(publication, items):
                    self._delete(override, _of(override, rows))
        except (_Changed, psycopg.errors.UniqueViolation):
            return False
        return True

    def _put(self, key: str, text: str, read: list[Row]) -> None:
        if not read:
            statement = """
                INSERT INTO {0} (key, value, version) SELECT %s, %s, '1'
                WHERE NOT EXISTS (SELECT FROM {0} WHERE key = %s)"""
            _expect(1, self._run(statement, [key, text, key]))
            return
        version = str(self._next_version(key, read))
        statement = """
            UPDATE {0} SET value = %s, version = %s
            WHERE key = %s AND (value, version::text) IN (SELECT * FROM unnest(%s::text[], %s::text[]))"""
        _expect(len(read), self._run(statement, [text, version, key, *_columns(read)]))

    def _delete(self, key: str, read: list[Row]) -> None:
        statement = """
            DELETE FROM {0}
            WHERE key = %s AND (value, version::text) IN (SELECT * FROM unnest(%s::text[], %s::text[]))"""
        _expect(len(read), self._run(statement, [key, *_columns(read)]))

    def _rows(self, keys: Collection[str], *, lock: bool = False) -> list[Row]:
        query = sql.SQL("SELECT key, value, version::text FROM {} WHERE key = ANY(%s){}").format(
            self._table, sql.SQL(" FOR UPDATE" if lock else "")
        )
        return self._connection.execute(query, [list(keys)]).fetchall()

    def _change(self, key: str, text: Change, rows: list[Row]) -> None:
        if text is None:
            self._run("DELETE FROM {0} WHERE key = %s", [key])
        elif not rows:
            self._run("INSERT INTO {0} (key, value, version) VALUES (%s, %s, '1')", [key, text])
        else:
            version = str(self._next_version(key, rows))
            self._run(
                "UPDATE {0} SET value = %s, version = %s WHERE key = %s", [text, version, key]
            )

    def _next_version(self, key: str, rows: list[Row]) -> int:
        versions = [row[2] for row in rows]
        for version in versions:
            if not (version or "").isdecimal():
                raise StoreWriteError(
                    f"the row {key} has version {version!r}, which is no whole number and cannot "
                    f"be raised; give the row a version like '1' in {self._name} first"
                )
        return max(int(version) for version in versions) + 1

    def _run(self, statement: Any, values: list[Any]) -> int:
        return self._connection.execute(sql.SQL(statement).format(self._table), values).rowcount


class _Changed(Exception):
    """A row is not as it was read; rolls the write back."""


def changed(keys: str) -> StoreWriteError:
    """Return the error that says: somebody was faster."""
    return StoreWriteError(
        f"{keys} was changed by somebody else at the same time; nothing was written, run it again"
    )


def _expect(rows: int, touched: int) -> None:
    if touched != rows:
        raise _Changed


def _of(key: str, rows: list[Row]) -> list[Row]:
    return [row for row in rows if row[0] == key]


def _columns(rows: list[Row]) -> tuple[list[str], list[str]]:
    return [row[1] for row in rows], [row[2] for row in rows]


def _newest(rows: list[Row]) -> Items:
    """Of several rows of one key the highest whole version wins; any other counts as -1."""
    found: dict[str, Item] = {}
    ordered = sorted(rows, key=lambda row: int(row[2]) if (row[2] or "").isdecimal() else -1)
    for key, value, version in ordered:
        if value:
            found[key] = Item(value, version or "")
        else:
            found.pop(key, None)
    return found
