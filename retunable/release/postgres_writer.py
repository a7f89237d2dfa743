"""Writes configuration items to PostgreSQL: rows of Dapr's four columns, one transaction.

Raises each row's version itself, which our own trigger and Dapr's documented table both take.
The only module here that knows psycopg.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg import errors, sql

from retunable.config.items import Item, Items, StoreKind
from retunable.errors import StoreWriteError
from retunable.release.store_url import DEFAULT_TABLE, StoreURL
from retunable.release.writer import Change, Expected

SECONDS: Final = 3
Result = TypeVar("Result")
Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresWriter:
    """One table of one PostgreSQL database."""

    kind: StoreKind = "postgresql"

    def __init__(self, url: StoreURL) -> None:
        self._url = url
        self._table = sql.Identifier(*url.table.split("."))
        self.connection: Connection = self._call(
            lambda: psycopg.connect(
                url.text, autocommit=True, connect_timeout=SECONDS, application_name="retune"
            )
        )
        self._call(lambda: self.connection.execute(f"SET statement_timeout = '{SECONDS}s'"))

    def read(self, keys: Collection[str]) -> Items:
        """Return the rows of these keys, of several for one key the highest version, as Dapr."""
        rows = self._call(lambda: self._rows(keys))
        return _newest(rows)

    def write(self, changes: Mapping[str, Change], *, expect: Expected | None = None) -> None:
        """Write all changes in one transaction, if what is expected still stands there."""
        for key, text in changes.items():
            if text == "":
                raise StoreWriteError(
                    f"{key}: an empty value counts as absent; use: retune unset {key}"
                )
        self._call(lambda: self._transaction(changes, expect or {}))

    def query(
        self, question: LiteralString | sql.Composed, values: list[Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a question about the database itself (`retune doctor`)."""
        return self._call(lambda: self.connection.execute(question, values).fetchall())

    def describe(self) -> str:
        table = "" if self._url.table == DEFAULT_TABLE else f" (table {self._url.table})"
        return self._url.shown + table

    def close(self) -> None:
        self.connection.close()

    def _rows(self, keys: Collection[str], *, lock: bool = False) -> list[tuple[Any, ...]]:
        query = sql.SQL("SELECT key, value, version::text FROM {} WHERE key = ANY(%s){}").format(
            self._table, sql.SQL(" FOR UPDATE" if lock else "")
        )
        return self.connection.execute(query, [list(keys)]).fetchall()

    def _transaction(self, changes: Mapping[str, Change], expect: Expected) -> None:
        with self.connection.transaction():
            touched = sorted({*changes, *expect})
            rows = self._rows(touched, lock=True)
            items = _newest(rows)
            for key, expected in expect.items():
                if items.get(key) != expected:
                    raise _changed(key)
            for key in sorted(changes):
                self._change(key, changes[key], [row for row in rows if row[0] == key])

    def _change(self, key: str, text: Change, rows: list[tuple[Any, ...]]) -> None:
        if text is None:
            self._run("DELETE FROM {} WHERE key = %s", [key])
        elif not rows:
            self._run("INSERT INTO {} (key, value, version) VALUES (%s, %s, '1')", [key, text])
        else:
            version = str(self._next_version(key, rows))
            self._run("UPDATE {} SET value = %s, version = %s WHERE key = %s", [text, version, key])

    def _next_version(self, key: str, rows: list[tuple[Any, ...]]) -> int:
        versions = [row[2] for row in rows]
        for version in versions:
            if not (version or "").isdecimal():
                raise StoreWriteError(
                    f"the row {key} has version {version!r}, which is no whole number and cannot "
                    f"be raised; give the row a version like '1' in {self._url.table} first"
                )
        return max(int(version) for version in versions) + 1

    def _run(self, statement: Any, values: list[Any]) -> None:
        self.connection.execute(sql.SQL(statement).format(self._table), values)

    def _call(self, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except psycopg.Error as error:
            raise StoreWriteError(self._reason(error)) from error

    def _reason(self, error: psycopg.Error) -> str:
        where, said = f"PostgreSQL at {self._url.shown}", _said(error)
        match error:
            case errors.UndefinedTable():
                return (
                    f"{where} has no table {self._url.table!r}; create it: "
                    f"psql {self._url.shown} -f sql/configuration.sql"
                )
            case errors.InsufficientPrivilege():
                return (
                    f"{where} refuses: {said}; the role needs "
                    f"GRANT SELECT, INSERT, UPDATE, DELETE ON {self._url.table}"
                )
            case errors.UniqueViolation() | errors.SerializationFailure():
                return str(_changed(said))
            case errors.QueryCanceled():
                return f"{where} did not answer within {SECONDS} s ({said}); nothing was written"
            case _ if "payload string too long" in said:
                return (
                    f"{where}: Dapr's documented trigger cannot announce a value of this size; "
                    f"apply ours, which can: psql {self._url.shown} -f sql/configuration.sql"
                )
            case _ if "authentication" in said:
                return (
                    f"{where} refuses the login ({said}); put user and password into the URL, "
                    "or the password into PGPASSWORD"
                )
            case _ if error.sqlstate is None:
                return f"{where} cannot be reached ({said}); start it, or name another with --store"
            case _:
                return f"{where} refuses: {said}"


def _newest(rows: list[tuple[Any, ...]]) -> Items:
    """Of several rows of one key the highest whole version wins; any other counts as -1."""
    found: dict[str, Item] = {}
    ordered = sorted(rows, key=lambda row: int(row[2]) if (row[2] or "").isdecimal() else -1)
    for key, value, version in ordered:
        if value:
            found[key] = Item(value, version or "")
        else:
            found.pop(key, None)
    return found


def _said(error: psycopg.Error) -> str:
    parts = [error.diag.message_primary or str(error).strip(), error.diag.message_hint]
    return "; ".join(part for part in parts if part).replace("\n", " ")


def _changed(keys: str) -> StoreWriteError:
    return StoreWriteError(
        f"{keys} was changed by somebody else at the same time; nothing was written, run it again"
    )
