"""What the table's own trigger wrote down in PostgreSQL: every change, whoever made it, without a gap.

``sql/configuration.sql`` has the trigger. A row of it is no entry of the release store's chain: it
is read where it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import sql

from retunable.release.postgres_writer import PostgresWriter
from retunable.release.store.moments import moment
from retunable.release.store_url import StoreURL

_ROWS: Final = """
    SELECT id, at, session_role, application_name, operation, old_key, old_value, new_key, new_value
    FROM {table} WHERE at >= %s AND (old_key = ANY(%s) OR new_key = ANY(%s)) ORDER BY id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRow:
    """One change of one item; a row whose key was changed is two of these.

    ``actor`` is the login, ``program`` what it called itself. Secrets were withheld by the trigger.
    """

    id: int
    at: datetime
    actor: str
    program: str
    operation: str
    key: str
    old: str | None
    new: str | None


def trigger_rows(
    url: StoreURL, keys: Collection[str], *, since: datetime
) -> tuple[TriggerRow, ...] | None:
    """Return what the trigger wrote of these keys, oldest first; None where there is none of ours.

    Raises:
        StoreWriteError: the store is away, or refuses to be read.
    """
    name = (*url.table.split(".")[:-1], "configuration_audit")
    table = sql.Identifier(*name)
    with closing(PostgresWriter(url)) as reader:
        [(found,)] = reader.query("SELECT to_regclass(%s)", [table.as_string()])
        if found is None:
            return None
        listed = sorted(keys)
        rows = reader.query(sql.SQL(_ROWS).format(table=table), [since, listed, listed])
    wanted = frozenset(keys)
    return tuple(one for row in rows for one in _changes(row) if one.key in wanted)


def _changes(row: tuple[object, ...]) -> Iterator[TriggerRow]:
    number, at, actor, program, operation, old_key, old, new_key, new = row
    for key in dict.fromkeys((old_key, new_key)):
        if key is not None:
            yield TriggerRow(
                id=int(str(number)),
                at=moment(at if isinstance(at, datetime) else str(at)),
                actor=str(actor),
                program=str(program),
                operation=str(operation),
                key=str(key),
                old=str(old) if key == old_key and old is not None else None,
                new=str(new) if key == new_key and new is not None else None,
            )
