"""The last good items: what a rejected or lost item falls back to.

A plain value with a JSON form; where it lies on disk is the live room's business. It is
validated again like anything else each time a snapshot is built from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retunable.config.items import Item


@dataclass(frozen=True, slots=True)
class LastGood:
    """The items last accepted, by full store key, and the highest generation accepted."""

    items: Mapping[str, Item] = field(default_factory=dict)
    generation: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready form that ``from_json`` reads back."""
        return {
            "items": {key: [item.value, item.version] for key, item in self.items.items()},
            "generation": self.generation,
        }

    @classmethod
    def from_json(cls, data: object) -> LastGood:
        """Read ``to_json``'s form.

        Raises:
            ValueError: the data has another shape.
        """
        match data:
            case {"items": dict(pairs), "generation": int(generation)}:
                return cls({str(key): _item(pair) for key, pair in pairs.items()}, generation)
            case _:
                raise ValueError("last-known-good data has another shape")


def _item(pair: object) -> Item:
    match pair:
        case [str(value), str(version)]:
            return Item(value, version)
        case _:
            raise ValueError("a last-known-good item must be [value, version]")
