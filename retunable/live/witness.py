"""Which items of the store changed between two reads, and between which moments.

Pure: readings and times in, changes out. A reading proves what stood there at some moment of its
last call, so a change lies after the begin of the reading before and before the end of this one.
Two changes of one item between two readings are seen as one, or as none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retunable.config.items import Item, Items, StoreKind, Unreadable

Stood = Item | Unreadable | None
"""What stood under a key; None for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemChange:
    """One item is another than before; times are in seconds since the epoch."""

    key: str
    old: Stood
    new: Stood
    not_before: float
    not_after: float


class Witness:
    """Remembers what was seen last.

    ``call_seconds`` is how long one call to the store may take, ``absent_seconds`` how rarely a key
    that is not there is asked for on Redis.
    """

    def __init__(self, *, call_seconds: float, absent_seconds: float) -> None:
        self._call_seconds = call_seconds
        self._absent_seconds = absent_seconds
        self._items: Items | None = None
        self._seen_at = 0.0

    def remember(self, items: Mapping[str, Item], *, at: float) -> None:
        """Take over what an earlier process saw last; there is nothing to compare with otherwise."""
        self._items, self._seen_at = dict(items), at

    def saw(self, items: Items, *, store: StoreKind, now: float) -> tuple[ItemChange, ...]:
        """Note a reading that ended now; return what is another than at the one before."""
        before, seen_at = self._items, self._seen_at
        self._items, self._seen_at = items, now
        if before is None or before == items:
            return ()
        keys = [*before, *(key for key in items if key not in before)]
        return tuple(
            ItemChange(
                key=key,
                old=before.get(key),
                new=items.get(key),
                not_before=min(now, seen_at - self._leeway_seconds(key in before, store)),
                not_after=now,
            )
            for key in keys
            if before.get(key) != items.get(key)
        )

    def _leeway_seconds(self, was_there: bool, store: StoreKind) -> float:
        rarely = store == "redis" and not was_there
        return self._call_seconds + (self._absent_seconds if rarely else 0.0)
