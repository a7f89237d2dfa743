"""Changes of the configuration store that replicas saw, in the audit: one entry for each change.

Several replicas see one change, each within times of its own, and tell of it at least once. It is
the same change where key, old and new are equal and the times overlap, unless one replica tells of
both: it saw it happen twice. What another replica saw in steps (``sightings``) is no change of its
own; where it was told before they were, its entry stays, and is left out of what is shown. Whether a
command of ours made a change is asked by whoever calls this.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from retunable.config.checksum import canonical
from retunable.config.fields import FIELD_BY_KEY
from retunable.events.event import ObservedChange
from retunable.release.store import audit
from retunable.release.store.audit import Record
from retunable.release.store.database import Transaction
from retunable.release.store.own_writes import CLOCKS_APART, own_writes
from retunable.release.store.records import Entry
from retunable.release.store.sightings import OURS, Sighting, coarse, in_steps

REASON: Final = "changed in the store by somebody else, between {} and {}"


def is_reported(work: Transaction, event: ObservedChange) -> bool:
    """Tell whether this very event was taken before."""
    return work.first("observation_report", event_id=event.event_id) is not None


def record(work: Transaction, event: ObservedChange) -> bool:
    """Write a change down; return False where other replicas told of it before, as one or in steps."""
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
    known = same.sequence if same else _last_step(work, event)
    _report(work, event, known or _append(work, event, change))
    return known is None


def set_aside(work: Transaction, event: ObservedChange) -> None:
    """Note that an event was taken and needs no entry: what it tells stands in the audit."""
    _report(work, event, None)


def shown(work: Transaction, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Leave out the sightings that other replicas told in steps."""
    seen = [entry.data for entry in entries if entry.action == "observe"]
    if not seen:
        return tuple(entries)
    near = _near(
        work,
        not_before_ms=min(data["not_before_ms"] for data in seen),
        not_after_ms=max(data["not_after_ms"] for data in seen),
    )
    left_out = coarse(near)
    return tuple(entry for entry in entries if entry.stamp.sequence not in left_out)


def _last_step(work: Transaction, event: ObservedChange) -> int | None:
    near = _near(
        work,
        not_before_ms=event.not_before_ms,
        not_after_ms=event.not_after_ms,
        agent=event.agent,
    )
    sighting = Sighting(
        number=0,
        item=(event.agent, event.environment, event.key),
        old=event.old,
        new=event.new,
        not_before_ms=event.not_before_ms,
        not_after_ms=event.not_after_ms,
        by=frozenset({event.replica}),
    )
    told = [step.number for step in in_steps(sighting, near) if step.by != OURS]
    return told[-1] if told else None


def _near(
    work: Transaction, *, not_before_ms: int, not_after_ms: int, agent: str | None = None
) -> tuple[Sighting, ...]:
    """Return what was seen and what commands of ours wrote about these times."""
    seen = _sightings(work, not_before_ms=not_before_ms, not_after_ms=not_after_ms)
    if not seen:
        return ()
    since = datetime.fromtimestamp(not_before_ms / 1000, UTC) - CLOCKS_APART
    return (*seen, *own_writes(list(audit.entries(work, agent=agent, since=since))))


def _sightings(work: Transaction, *, not_before_ms: int, not_after_ms: int) -> tuple[Sighting, ...]:
    """Return every sighting whose times overlap these, each with the replicas that told of it."""
    by: dict[int, set[str]] = {}
    data: dict[int, Any] = {}
    for row in work.rows("sightings", not_before_ms=not_before_ms, not_after_ms=not_after_ms):
        by.setdefault(row.sequence, set()).add(row.replica)
        data[row.sequence] = row
    return tuple(_sighting(row, frozenset(by[number])) for number, row in data.items())


def _sighting(row: Any, by: frozenset[str]) -> Sighting:
    data = json.loads(row.data)
    return Sighting(
        number=row.sequence,
        item=(row.agent, row.environment, data["key"]),
        old=data["old"],
        new=data["new"],
        not_before_ms=row.not_before_ms,
        not_after_ms=row.not_after_ms,
        by=by,
    )


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
