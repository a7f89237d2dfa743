"""A bounded memory of what was worked out: the newest entries stay, the oldest go.

Two plain dictionaries, so that threads need no lock: a race costs at most working something out
twice.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

MOST_ENTRIES: Final = 2048


class Memo:
    """Values by key; between one and two times ``most_entries`` of them."""

    def __init__(self, most_entries: int = MOST_ENTRIES) -> None:
        self._most_entries = most_entries
        self._young: dict[Hashable, Any] = {}
        self._old: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: Hashable) -> Any:
        """Return a value, None where it is not known (any more)."""
        found = self._young.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self.put(key, found)
        return found

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value; where the young half is full, the old one is let go."""
        if len(self._young) >= self._most_entries:
            self._old, self._young = self._young, {}
        self._young[key] = value
