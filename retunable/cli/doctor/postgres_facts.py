"""Asks a PostgreSQL about the configuration table, from its catalogs."""

from __future__ import annotations

from typing import Any, Final, LiteralString

from psycopg import sql

from retunable.cli.doctor.postgres_store import Column, PostgresFacts, Trigger
from retunable.release.postgres_writer import PostgresWriter
from retunable.release.store_url import StoreURL

_COLUMNS: Final = """
    SELECT attname, format_type(atttypid, NULL), NOT attnotnull
    FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_UNIQUE: Final = """
    SELECT count(*) FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
    WHERE indrelid = %s AND indisunique AND indnkeyatts = 1 AND attname = 'key'
      AND indpred IS NULL
"""
# tgtype: bit 0 for each row, bits 2, 3 and 4 insert, delete and update. The source of a trigger is
# its function's with those of the functions beside it that it calls.
_TRIGGERS: Final = """
    SELECT tgname, tgenabled <> 'D', tgtype::int, tgargs, own.prosrc || coalesce((
        SELECT string_agg(called.prosrc, '') FROM pg_proc AS called
        WHERE called.pronamespace = own.pronamespace AND called.oid <> own.oid
            AND position(called.proname || '(' IN own.prosrc) > 0), '')
    FROM pg_trigger JOIN pg_proc AS own ON own.oid = tgfoid
    WHERE tgrelid = %s AND NOT tgisinternal ORDER BY tgname
"""
_AUDIT: Final = "SELECT to_regclass(%s) IS NOT NULL"
_SETTINGS: Final = """
    SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit')
"""
_EVENT_BITS: Final = {4: "INSERT", 8: "DELETE", 16: "UPDATE"}


def postgres_facts(
    writer: PostgresWriter, *, url: StoreURL, keys: tuple[str, ...], secret_key: str
) -> PostgresFacts:
    """Fetch what the checks look at; ``keys`` are those of the agent."""
    table, shown = url.table, url.shown
    version = writer.query("SHOW server_version")[0][0]
    ((oid, kind),) = writer.query(
        "SELECT to_regclass(%s)::oid, (SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s))",
        [table, table],
    )
    if oid is None:
        return PostgresFacts(shown=shown, table=table, version=version)
    columns = tuple(Column(*row) for row in writer.query(_COLUMNS, [oid]))
    by_name = {column.name for column in columns}
    return PostgresFacts(
        shown=shown,
        table=table,
        version=version,
        is_table=kind in ("r", "p"),
        columns=columns,
        unique_key=writer.query(_UNIQUE, [oid])[0][0] > 0,
        duplicates=_keys(writer, table, "GROUP BY key HAVING count(*) > 1", keys)
        if "key" in by_name
        else (),
        triggers=tuple(_trigger(row) for row in writer.query(_TRIGGERS, [oid])),
        audit_table=writer.query(_AUDIT, [f"{table}_audit"])[0][0],
        odd_versions=_keys(writer, table, "AND version::text !~ '^[0-9]+$'", keys)
        if {"key", "version"} <= by_name
        else (),
        settings=dict(writer.query(_SETTINGS)),
        secret_key=secret_key
        if "key" in by_name and _keys(writer, table, "LIMIT 1", (secret_key,))
        else None,
    )


def _keys(
    writer: PostgresWriter, table: str, rest: LiteralString, keys: tuple[str, ...]
) -> tuple[str, ...]:
    question = sql.SQL("SELECT key FROM {} WHERE key = ANY(%s) {}").format(
        sql.Identifier(*table.split(".")), sql.SQL(rest)
    )
    return tuple(row[0] for row in writer.query(question, [list(keys)]))


def _trigger(row: tuple[Any, ...]) -> Trigger:
    name, enabled, bits, arguments, source = row
    return Trigger(
        name=name,
        enabled=enabled,
        for_each_row=bool(bits & 1),
        events=frozenset(event for bit, event in _EVENT_BITS.items() if bits & bit),
        arguments=tuple(a.decode() for a in bytes(arguments).split(b"\0") if a),
        source=source,
    )
