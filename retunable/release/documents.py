"""The text of documents as a writer stores them, and what a stored document says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from retunable.config.items import Item, Unreadable

StoredKind = Literal["none", "plain", "envelope", "tombstone", "unreadable"]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What stands under a document key; ``generation`` is 0 where it has none."""

    kind: StoredKind
    generation: int = 0


def json_text(value: Any) -> str:
    """Return JSON that survives every store: Redis's component cuts a value at ``||``."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": ")).replace("|", "\\u007c")


def tombstone_text(agent: str, *, environment: str, generation: int) -> str:
    """Return the document that says: no document is wanted, and somebody means it."""
    tombstone: Mapping[str, Any] = {
        "retunable": 1,
        "reset": True,
        "agent": agent,
        "environment": environment,
        "generation": generation,
    }
    return json_text(tombstone)


def stored_document(item: Item | Unreadable | None) -> StoredDocument:
    """Tell what a document key holds, without checking it for any agent."""
    if item is None:
        return StoredDocument("none")
    if isinstance(item, Unreadable):
        return StoredDocument("unreadable")
    try:
        value = json.loads(item.value)
    except (ValueError, RecursionError):
        return StoredDocument("unreadable")
    if not isinstance(value, dict):
        return StoredDocument("unreadable")
    if "retunable" not in value:
        return StoredDocument("plain")
    kind: StoredKind = "tombstone" if value.get("reset") is True else "envelope"
    return StoredDocument(kind, _generation(value.get("generation")))


def _generation(value: object) -> int:
    """Read a generation as Redis's script can: 5.0 is 5, and what is no whole number is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1:
        return 0
    return int(value) if value == value // 1 else 0
