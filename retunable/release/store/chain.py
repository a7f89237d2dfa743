"""The chain of audit entries: each hash covers its entry and the hash before it. Pure.

A changed, missing or inserted entry breaks every link after it. What the chain alone cannot show is
an end that was cut off: note the newest hash elsewhere to be able to tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from retunable.config.checksum import canonical
from retunable.release.store.moments import stamp
from retunable.release.store.records import Entry

GENESIS: Final = "0" * 64
"""What the first entry names as the hash before it."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place where what is kept is not what was recorded."""

    sequence: int
    reason: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a whole chain; 0 and the genesis hash where there is none."""

    sequence: int = 0
    hash: str = GENESIS


def entry_hash(entry: Entry) -> str:
    """Return the SHA-256 in hex of the RFC 8785 form of everything but ``hash``."""
    return hashlib.sha256(
        canonical(
            {
                "sequence": entry.stamp.sequence,
                "at": stamp(entry.stamp.at),
                "actor": entry.stamp.actor,
                "claimed": entry.stamp.claimed,
                "reason": entry.stamp.reason,
                "action": entry.action,
                "agent": entry.agent,
                "environment": entry.environment,
                "version": entry.version,
                "old_version": entry.old_version,
                "checksum": entry.checksum,
                "data": dict(entry.data),
                "previous": entry.previous,
            }
        )
    ).hexdigest()


def follow(entries: Iterable[Entry]) -> Head | Broken:
    """Walk all entries from the first one; return the newest, or where the chain breaks."""
    head = Head()
    for entry in entries:
        step = next_head(head, entry)
        if isinstance(step, Broken):
            return step
        head = step
    return head


def next_head(head: Head, entry: Entry) -> Head | Broken:
    """Return the chain's newest entry after one more, or how that one breaks it."""
    sequence = entry.stamp.sequence
    if sequence != head.sequence + 1:
        return Broken(head.sequence + 1, f"is missing; the next entry is {sequence}")
    if entry.previous != head.hash:
        return Broken(sequence, "does not name the hash of the entry before it")
    if entry.hash != entry_hash(entry):
        return Broken(sequence, "was changed: its hash does not fit what it says")
    return Head(sequence, entry.hash)
