"""Changes of the configuration store that replicas saw, in the audit: one entry for each change.

Several replicas see one change, each within times of its own, and tell of it at least once. It is
the same change where key, old and new are equal and the times overlap, unless one replica tells of
both: it saw it happen twice. Whether a command of ours made it is asked by whoever calls this.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final

from retunable.config.checksum import canonical
from retunable.config.fields import FIELD_BY_KEY
from retunable.events.event import ObservedChange
from retunable.release.store import audit
from retunable.release.store.audit import Record
from retunable.release.store.database import Transaction

REASON: Final = "changed in the store by somebody else, between {} and {}"


def is_reported(work: Transaction, event: ObservedChange) -> bool:
    """Tell whether this very event was taken before."""
    return work.first("observation_report", event_id=event.event_id) is not None


def record(work: Transaction, event: ObservedChange) -> bool:
    """Write a change down; return False where another replica told of it before."""
    change = _change(event)
    same = work.first(
        "observation_of_another",
        agent=event.agent,
        environment=event.environment,
        change=change,
        not_before_ms=event.not_before_ms,
        not_after_ms=event.not_after_ms,
        replica=event.replica,
    )
    sequence = same.sequence if same else _append(work, event, change)
    _report(work, event, sequence)
    return same is None


def set_aside(work: Transaction, event: ObservedChange) -> None:
    """Note that an event was taken and needs no entry: what it tells stands in the audit."""
    _report(work, event, None)


def _append(work: Transaction, event: ObservedChange, change: str) -> int:
    field = FIELD_BY_KEY.get(event.key.rpartition("/")[2])
    entry = audit.append(
        work,
        Record(
            action="observe",
            agent=event.agent,
            environment=event.environment,
            reason=REASON.format(_time(event.not_before_ms), _time(event.not_after_ms)),
            data={
                "fields": [field.name] if field else [],
                "key": event.key,
                "item": event.item,
                "old": event.old,
                "new": event.new,
                "change": change,
                "not_before_ms": event.not_before_ms,
                "not_after_ms": event.not_after_ms,
                "replica": event.replica,
            },
        ),
    )
    sequence = entry.stamp.sequence
    work.run(
        "insert_observation",
        sequence=sequence,
        agent=event.agent,
        environment=event.environment,
        change=change,
        not_before_ms=event.not_before_ms,
        not_after_ms=event.not_after_ms,
    )
    return sequence


def _report(work: Transaction, event: ObservedChange, sequence: int | None) -> None:
    work.run(
        "insert_observation_report",
        event_id=event.event_id,
        sequence=sequence,
        replica=event.replica,
    )


def _change(event: ObservedChange) -> str:
    return hashlib.sha256(canonical([event.key, event.item, event.old, event.new])).hexdigest()


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
