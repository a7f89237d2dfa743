"""What a configuration store holds: items, as an adapter hands them to the pure core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from retunable.config.rejection import Refused

StoreKind = Literal["redis", "postgresql", "sqlite", "other"]
"""Which store the items come from; only Redis cuts a value at ``||``."""


@dataclass(frozen=True, slots=True)
class Item:
    """One value as the store gave it; ``version`` is free text and orders nothing."""

    value: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A key that is there, but whose value could not be read; ``reason`` says why."""

    reason: str


Items = Mapping[str, Item | Unreadable]
"""Full store key (prefix included) to what stands there; an absent key is left out."""


def present(items: Items) -> dict[str, Item | Unreadable]:
    """Return the items that count: a zero-length value is absent on every store."""
    return {key: item for key, item in items.items() if isinstance(item, Unreadable) or item.value}


def readable(item: Item | Unreadable, store: StoreKind) -> Item:
    """Return an item whose value is whole.

    Raises:
        Refused: it could not be read, or Redis's component cut it at a ``||`` of its own text:
            a version part that is no integer was never meant as one.
    """
    if isinstance(item, Unreadable):
        raise Refused("unreadable", item.reason)
    if store == "redis" and item.version != "" and not item.version.isdecimal():
        raise Refused(
            "cut",
            "was cut at a '||', which Redis's component takes for the start of a version; "
            "write the value with `retune set`, or as JSON with \\u007c for '|'",
        )
    return item
