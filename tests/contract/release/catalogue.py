"""Everything that a database says of its schema, so that two of them can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.contract.release.homes import Home

SQLITE = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
POSTGRESQL = (
    """SELECT relname, relkind, attnum, attname, format_type(atttypid, atttypmod), attnotnull,
        pg_get_expr(adbin, adrelid)
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace ORDER BY relname, attnum""",
    """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 2",
    """SELECT tgrelid::regclass::text, tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
    WHERE NOT tgisinternal ORDER BY 1, 2""",
    """SELECT proname, pg_get_functiondef(oid), proacl::text FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace ORDER BY 1""",
    "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1",
)


def catalogue(home: Home) -> list[tuple[object, ...]]:
    """Return every table, column, constraint, index, trigger, function and view."""
    queries = (SQLITE,) if home.kind == "sqlite" else POSTGRESQL
    return [row for query in queries for row in home.raw(query)]
