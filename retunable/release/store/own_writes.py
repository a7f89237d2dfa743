"""What commands of ours wrote under field keys, as steps of what replicas saw.

An entry says what it wrote and when, by the clock of the release store; a replica's may differ. What
was withdrawn was never written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from retunable.events.shown_value import shown_value
from retunable.release.store.records import Entry
from retunable.release.store.sightings import OURS, Sighting

CLOCKS_APART: Final = timedelta(seconds=30)
"""How far the clocks of a replica and of the release store may be apart."""

Write = tuple[str, str | None, str | None]
"""A store key, and what stood there before and after."""


def own_writes(entries: Sequence[Entry]) -> tuple[Sighting, ...]:
    """Return the writes of these entries; their numbers are below those of any audit entry."""
    withdrawn = {
        entry.data.get("change", entry.data.get("deployment"))
        for entry in entries
        if entry.action == "withdraw"
    }
    written = (
        (entry, write)
        for entry in entries
        if entry.stamp.sequence not in withdrawn
        for write in _writes(entry)
    )
    return tuple(_step(-place, entry, write) for place, (entry, write) in enumerate(written, 1))


def _writes(entry: Entry) -> Iterator[Write]:
    match entry.data:
        case {"changes": dict(changes)}:
            for key, change in changes.items():
                yield key, change["old"], change["new"]
        case {"data": {"overrides": dict(cleared)}}:
            for key, stood in cleared.items():
                match stood:
                    case [str(value), _]:
                        yield key, value, None
                    case _:
                        pass  # nothing was shown there, or what cannot be read


def _step(number: int, entry: Entry, write: Write) -> Sighting:
    key, old, new = write
    at_ms, apart_ms = (
        round(seconds * 1000)
        for seconds in (entry.stamp.at.timestamp(), CLOCKS_APART.total_seconds())
    )
    return Sighting(
        number=number,
        item=(entry.agent or "", entry.environment or "", key),
        old=shown_value(key, old),
        new=shown_value(key, new),
        not_before_ms=at_ms - apart_ms,
        not_after_ms=at_ms + apart_ms,
        by=OURS,
    )
