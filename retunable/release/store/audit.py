"""The audit: appends entries to the chain, and reads them back by time, actor and field.

Every row of the other tables is the detail of one entry, whose ``data`` repeats it; ``verifying`` holds
the two against each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from retunable.config.checksum import canonical
from retunable.config.jsontext import JsonTextError, check_json
from retunable.errors import ReleaseStoreError
from retunable.release.store.chain import GENESIS, entry_hash
from retunable.release.store.database import Transaction
from retunable.release.store.moments import BEGINNING, moment
from retunable.release.store.records import Action, Entry, Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What happened, for ``append``; who and when are the transaction's.

    ``data`` is any JSON object. Its member ``fields``, a list of field names, is what a question
    for one field finds.
    """

    action: Action
    agent: str
    reason: str
    environment: str | None = None
    version: int | None = None
    old_version: int | None = None
    checksum: str | None = None
    data: Mapping[str, Any]


def append(work: Transaction, record: Record) -> Entry:
    """Add one entry at the end of the chain and return it.

    Raises:
        ReleaseStoreError: a text or ``data`` is no valid JSON (a lone surrogate, a NUL).
    """
    newest = work.first("newest_entry")
    entry = Entry(
        stamp=Stamp(
            sequence=newest.sequence + 1 if newest else 1,
            at=work.now,
            actor=work.actor,
            claimed=work.claimed,
            reason=record.reason,
        ),
        action=record.action,
        agent=record.agent,
        environment=record.environment,
        version=record.version,
        old_version=record.old_version,
        checksum=record.checksum,
        data=record.data,
        previous=newest.hash if newest else GENESIS,
        hash="",
    )
    _check_texts(entry)
    hashed = replace(entry, hash=entry_hash(entry))
    _insert(work, hashed)
    return hashed


def entries(
    work: Transaction,
    *,
    agent: str | None = None,
    environment: str | None = None,
    actor: str | None = None,
    field: str | None = None,
    since: datetime = BEGINNING,
    after: int = 0,
) -> Iterator[Entry]:
    """Give the entries that fit all that is asked, oldest first.

    ``actor`` fits who it was and who was claimed; ``environment`` fits what belongs to none too;
    ``field`` is a field's name; ``after`` a sequence number.
    """
    rows = work.each(
        "entries", agent=agent, environment=environment, actor=actor, since=since, after=after
    )
    for row in rows:
        entry = _entry(row)
        if field is None or field in entry.data.get("fields", ()):
            yield entry


def stamp_of(row: Any) -> Stamp:
    """Return who, when and why of a row that has these columns."""
    return Stamp(
        sequence=row.sequence,
        at=moment(row.at),
        actor=row.actor,
        claimed=row.claimed,
        reason=row.reason,
    )


def _entry(row: Any) -> Entry:
    return Entry(
        stamp=stamp_of(row),
        action=row.action,
        agent=row.agent,
        environment=row.environment,
        version=row.version,
        old_version=row.old_version,
        checksum=row.checksum,
        data=json.loads(row.data),
        previous=row.previous,
        hash=row.hash,
    )


def _insert(work: Transaction, entry: Entry) -> None:
    work.run(
        "insert_entry",
        sequence=entry.stamp.sequence,
        at=entry.stamp.at,
        actor=entry.stamp.actor,
        claimed=entry.stamp.claimed,
        reason=entry.stamp.reason,
        action=entry.action,
        agent=entry.agent,
        environment=entry.environment,
        version=entry.version,
        old_version=entry.old_version,
        checksum=entry.checksum,
        data=canonical(dict(entry.data)).decode(),
        previous=entry.previous,
        hash=entry.hash,
    )


def _check_texts(entry: Entry) -> None:
    try:
        check_json(dict(entry.data))
        check_json([entry.agent, entry.environment, entry.stamp.claimed, entry.stamp.reason])
    except JsonTextError as error:
        raise ReleaseStoreError(f"the audit cannot keep this: {error}; write plain text") from error
