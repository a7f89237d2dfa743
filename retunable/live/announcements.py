"""Whether the stream announced what a read found: the evidence for and against a stream.

Pure bookkeeping; time comes in as an argument. A change counts as missed when no hint for its
key came from the moment before its read until the grace after it has passed.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf


class Announcements:
    """The changes found by reads that a hint has yet to explain."""

    def __init__(self, *, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._awaited: dict[str, float] = {}

    @property
    def due(self) -> float:
        """When the first awaited hint is overdue; inf where none is awaited."""
        return min(self._awaited.values(), default=inf)

    def heard(self, keys: Collection[str]) -> None:
        """Note hints that have come."""
        for key in keys:
            self._awaited.pop(key, None)

    def found(self, changed: Collection[str], *, now: float) -> None:
        """Note changes that no hint has announced so far."""
        for key in changed:
            self._awaited.setdefault(key, now + self._grace_seconds)

    def overdue(self, now: float) -> frozenset[str]:
        """Take out and return the keys whose hint did not come in time."""
        late = frozenset(key for key, due in self._awaited.items() if due <= now)
        for key in late:
            del self._awaited[key]
        return late

    def forget(self) -> None:
        """Start afresh, for another stream."""
        self._awaited.clear()
