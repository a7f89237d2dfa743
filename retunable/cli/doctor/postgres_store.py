"""A PostgreSQL that holds configuration: the table that Dapr reads, its trigger, its durability."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from retunable.cli.doctor.finding import Finding, error, ok, warning

COLUMNS: Final = ("key", "value", "version", "metadata")
_TEXT_TYPES: Final = frozenset({"text", "character varying"})
_JSON_TYPES: Final = frozenset({"json", "jsonb"})
_CHANNEL = re.compile(r"pg_notify\s*\(\s*'([^']*)'", re.IGNORECASE)
_ROW_EVENTS: Final = frozenset({"INSERT", "UPDATE", "DELETE"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column in its order."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One trigger of the table and the source of its function."""

    name: str
    enabled: bool
    for_each_row: bool
    events: frozenset[str]
    arguments: tuple[str, ...]
    source: str

    @property
    def channels(self) -> frozenset[str]:
        """The channels that it notifies, as far as its source says them in plain."""
        named = frozenset(_CHANNEL.findall(self.source))
        return named or frozenset(self.arguments)

    @property
    def notifies(self) -> bool:
        return "pg_notify" in self.source.lower()

    @property
    def sends_the_row(self) -> bool:
        """Dapr's documented trigger sends the whole row, which has limits ours has not."""
        return "row_to_json" in self.source.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresFacts:
    """What one database says of the configuration table."""

    shown: str
    table: str
    version: str = ""
    is_table: bool = True
    columns: tuple[Column, ...] = ()
    unique_key: bool = True
    duplicates: tuple[str, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    audit_table: bool = True
    odd_versions: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    secret_key: str | None = None


def check_postgres(facts: PostgresFacts, channel: str | None) -> Iterator[Finding]:
    """Look at the table; ``channel`` is the one that the component names, None if unknown."""
    yield ok("store", f"PostgreSQL {facts.version} answers at {facts.shown}")
    apply_ours = f"psql {facts.shown} -f sql/configuration.sql"
    if not facts.columns or not facts.is_table:
        what = "is a view, which daprd refuses" if facts.columns else "does not exist"
        yield error("table", f"{facts.table} {what}: daprd does not start with it", apply_ours)
        return
    yield from _columns(facts, apply_ours)
    yield from _rows(facts, apply_ours)
    yield from _trigger(facts, channel, apply_ours)
    if facts.audit_table:
        yield ok("audit", "changes are recorded")
    else:
        yield warning("audit", "no audit table: nobody sees who changed what", apply_ours)
    yield from _durability(facts)


def _columns(facts: PostgresFacts, apply_ours: str) -> Iterator[Finding]:
    names = tuple(column.name for column in facts.columns)
    if names != COLUMNS:
        yield error(
            "table",
            f"{facts.table} has the columns {', '.join(names)}; daprd reads exactly "
            f"{', '.join(COLUMNS)} in this order",
            f"keep other columns in another table: CREATE TABLE {facts.table}_new (…4 columns…)",
        )
        return
    wrong = [column for column in facts.columns if not _right_type(column)]
    for column in wrong:
        wanted = "json" if column.name == "metadata" else "varchar"
        harm = "; its notification ends daprd" if column.name == "version" else ""
        yield error(
            "table",
            f"column {column.name} is {column.type}{harm}",
            f"psql {facts.shown} -c 'ALTER TABLE {facts.table} ALTER COLUMN {column.name} "
            f"TYPE {wanted} USING {column.name}::{wanted}'",
        )
    for column in facts.columns:
        if column.nullable and column.name in ("value", "version"):
            yield warning(
                "table",
                f"column {column.name} may be NULL, and one NULL fails every read of it",
                f"psql {facts.shown} -c 'ALTER TABLE {facts.table} ALTER COLUMN {column.name} "
                "SET NOT NULL'",
            )
    if not wrong:
        yield ok("table", f"{facts.table} has the columns that daprd reads")
    if not facts.unique_key:
        yield warning("table", "key is not unique: several rows may stand for one key", apply_ours)


def _right_type(column: Column) -> bool:
    allowed = _JSON_TYPES if column.name == "metadata" else _TEXT_TYPES
    return column.type in allowed


def _rows(facts: PostgresFacts, apply_ours: str) -> Iterator[Finding]:
    if facts.duplicates:
        yield warning(
            "table",
            f"several rows for {', '.join(facts.duplicates)}: the highest version wins",
            apply_ours,
        )
    for key in facts.odd_versions:
        yield warning(
            "table",
            f"the version of {key} is no whole number, so nothing can raise it",
            f"psql {facts.shown} -c \"UPDATE {facts.table} SET version = '1' WHERE key = '{key}'\"",  # noqa: S608 - shown, not run
        )
    if facts.secret_key:
        yield error(
            "secrets",
            f"{facts.secret_key} lies in the configuration store, readable by every app on daprd",
            f"psql {facts.shown} -c \"DELETE FROM {facts.table} WHERE key = '{facts.secret_key}'\""  # noqa: S608 - shown, not run
            "   (then renew that key where it was issued)",
        )


def _trigger(facts: PostgresFacts, channel: str | None, apply_ours: str) -> Iterator[Finding]:
    notifying = [trigger for trigger in facts.triggers if trigger.notifies]
    live = [trigger for trigger in notifying if trigger.enabled]
    if not live:
        state = f"{notifying[0].name} is disabled" if notifying else "there is none that notifies"
        mend = (
            f"psql {facts.shown} -c 'ALTER TABLE {facts.table} ENABLE TRIGGER {notifying[0].name}'"
            if notifying
            else apply_ours
        )
        yield error("trigger", f"{state}: no change is announced", mend)
        return
    if channel is not None and not any(channel in trigger.channels for trigger in live):
        told = ", ".join(sorted({c for trigger in live for c in trigger.channels})) or "unknown"
        yield error(
            "trigger",
            f"it notifies channel {told!r}, the component listens on {channel!r}",
            f"write into the component: - name: notifyChannel  value: {told}",
        )
    missing = _ROW_EVENTS - frozenset().union(*(trigger.events for trigger in live))
    if missing:
        yield error("trigger", f"{', '.join(sorted(missing))} is not announced", apply_ours)
    if any(trigger.sends_the_row for trigger in live):
        yield warning(
            "trigger",
            "it sends the whole row (Dapr's documented trigger): a value of about 8,000 bytes "
            "makes the write itself fail",
            apply_ours,
        )
    if not missing:
        yield ok("trigger", f"{', '.join(trigger.name for trigger in live)} announces changes")


def _durability(facts: PostgresFacts) -> Iterator[Finding]:
    off = [name for name in ("fsync", "synchronous_commit") if facts.settings.get(name) == "off"]
    if not off:
        yield ok("durability", "commits are on disk before they are confirmed")
    for name in off:
        yield warning(
            "durability",
            f"{name} is off: a crash of the machine may lose changes",
            f"psql {facts.shown} -c 'ALTER SYSTEM SET {name} = on' -c 'SELECT pg_reload_conf()'",
        )
