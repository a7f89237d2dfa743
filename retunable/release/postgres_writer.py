"""Writes configuration items to PostgreSQL: a connection, its limits, and errors with a mend.

What is done to the rows is in ``postgres_table``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg import errors, sql

from retunable.config.items import Items, StoreKind
from retunable.errors import StoreWriteError
from retunable.release.landing import Landing, Publication
from retunable.release.postgres_table import ConfigurationTable, Connection, changed
from retunable.release.store.database import DatabaseIdentity
from retunable.release.store.moments import moment
from retunable.release.store_url import DEFAULT_TABLE, StoreURL
from retunable.release.writer import Change, Expected

SECONDS: Final = 3
_IDENTITY: Final = """
    SELECT (SELECT system_identifier FROM pg_control_system()),
        (SELECT oid FROM pg_database WHERE datname = current_database()),
        pg_postmaster_start_time()"""
_TABLE: Final = """
    SELECT found, (SELECT bool_and(has_table_privilege(found, needed))
        FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS needed)
    FROM to_regclass(%s) AS found"""
Result = TypeVar("Result")


class PostgresWriter:
    """One table of one PostgreSQL database."""

    kind: StoreKind = "postgresql"

    def __init__(self, url: StoreURL) -> None:
        self._url = url
        self.connection: Connection = self._call(
            lambda: psycopg.connect(
                url.text, autocommit=True, connect_timeout=SECONDS, application_name="retune"
            )
        )
        self._table = ConfigurationTable(self.connection, url.table)
        self._call(self._set_limits)

    def read(self, keys: Collection[str]) -> Items:
        """Return the rows of these keys, of several for one key the highest version, as Dapr."""
        return self._call(lambda: self._table.items(keys))

    def write(self, changes: Mapping[str, Change], *, expect: Expected | None = None) -> None:
        """Write all changes in one transaction, if what is expected still stands there."""
        self.write_on(self.connection, changes, expect=expect)

    def write_on(
        self,
        connection: Connection,
        changes: Mapping[str, Change],
        *,
        expect: Expected | None = None,
    ) -> None:
        """As ``write``, inside the transaction of another connection to this database."""
        for key, text in changes.items():
            if text == "":
                raise StoreWriteError(
                    f"{key}: an empty value counts as absent; use: retune unset {key}"
                )
        table = ConfigurationTable(connection, self._url.table)
        self._call(lambda: table.write(changes, expect or {}))

    def publish(self, publication: Publication) -> Landing:
        """Judge what stands, and compare it again in the ``WHERE`` of the write."""
        return self._call(lambda: self._table.publish(publication))

    def publish_on(self, connection: Connection, publication: Publication) -> Landing:
        """Publish inside the transaction of another connection to this database."""
        table = ConfigurationTable(connection, self._url.table)
        return self._call(lambda: table.publish(publication))

    def identity(self) -> DatabaseIdentity:
        """Return which database of which running server this is."""
        [(system, database, started)] = self.query(_IDENTITY)
        return DatabaseIdentity(int(system), int(database), moment(started))

    def is_table_of(self, connection: Connection) -> bool:
        """Tell whether another connection to this database means the same table and may write it."""
        [ours] = self.query(_TABLE, [self._url.table])
        theirs = self._call(lambda: connection.execute(_TABLE, [self._url.table]).fetchone())
        return theirs is not None and theirs[0] == ours[0] and bool(theirs[1])

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

    def _set_limits(self) -> None:
        # A publisher that is stopped inside its transaction would hold its locks for ever.
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            self.connection.execute(f"SET {limit} = '{SECONDS}s'")

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
                return str(changed(said))
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


def _said(error: psycopg.Error) -> str:
    parts = [error.diag.message_primary or str(error), error.diag.message_hint]
    # libpq indents what it says of a failed connection on lines of its own.
    return " ".join("; ".join(part for part in parts if part).split())
