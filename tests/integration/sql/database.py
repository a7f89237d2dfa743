"""What the tests do to one database: apply files, run statements, read rows and the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from dev.resources import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = CHECKOUT / "sql" / "configuration.sql"
DOCUMENTED = CHECKOUT / "dev" / "documented_table.sql"


class Database:
    """One database and one connection to it, in autocommit mode."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.notices: list[str] = []
        self.connection = psycopg.connect(url, autocommit=True, application_name="the test")
        self.connection.add_notice_handler(self._note)

    def close(self) -> None:
        self.connection.close()

    def apply(self) -> None:
        """Apply sql/configuration.sql; the notices it gives are kept."""
        self.notices.clear()
        self.connection.execute(OURS.read_bytes())

    def apply_documented(self) -> None:
        """Make Dapr's documented table and trigger."""
        self.connection.execute(DOCUMENTED.read_bytes())

    def run(self, sql: LiteralString, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []

    def put(self, key: str, value: str) -> None:
        """Insert or update one row without touching its version."""
        self.run(
            "INSERT INTO configuration (key, value) VALUES (%s, %s)"
            " ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value",
            (key, value),
        )

    def rows(self) -> list[tuple[Any, ...]]:
        """Return key, value and version of every row, by key."""
        return self.run("SELECT key, value, version FROM configuration ORDER BY key")

    def version(self, key: str) -> str:
        return str(self.run("SELECT version FROM configuration WHERE key = %s", (key,))[0][0])

    def audit(self) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute("SELECT * FROM configuration_audit ORDER BY id").fetchall()

    def _note(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        self.notices.append(f"{diagnostic.severity}: {diagnostic.message_primary}")
