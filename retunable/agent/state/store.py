"""The seam between durable runs and the state store: single-key writes that tell who won.

Nothing here is a transaction: stores differ in what those keep. A value is a JSON value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """One value as it stands; ``etag`` names this writing of it."""

    value: Any
    etag: str


@dataclass(frozen=True, slots=True)
class Inserted:
    """What stands after an insert, and whether it is one's own."""

    won: bool
    value: Any


class TooLarge(ValueError):
    """A value is larger than the sidecar takes; trying again does not help."""


class StateStore(Protocol):
    """Where runs are kept. Every method raises ``Unavailable`` where it cannot tell what stands."""

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, Stored]:
        """Return what stands under these keys; absent ones are left out."""

    async def insert(self, key: str, value: Any) -> Inserted:
        """Write a value if the key is absent, and return what stands then.

        Raises:
            TooLarge: the value is larger than the sidecar takes.
        """

    async def save(self, key: str, value: Any, *, etag: str) -> bool:
        """Replace the writing that ``etag`` names; False where another one stands.

        Raises:
            TooLarge: the value is larger than the sidecar takes.
        """

    async def put(self, values: Mapping[str, Any]) -> None:
        """Write values whose keys are derived from them; again is the same.

        Raises:
            TooLarge: a value is larger than the sidecar takes.
        """

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete keys, absent ones too."""
