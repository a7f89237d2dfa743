"""The seam to a configuration store that can be written.

A write is atomic: all of its keys or none. What may be written is decided by the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from retunable.config.items import Item, Items, StoreKind, Unreadable
from retunable.release.landing import Landing, Publication

Change = str | None
"""The new text of one item; None deletes it."""

Expected = Mapping[str, Item | Unreadable | None]
"""What must still stand under some keys when a write happens; None: nothing."""


class ConfigurationWriter(Protocol):
    """One configuration store, opened for writing; its calls block."""

    @property
    def kind(self) -> StoreKind: ...

    def read(self, keys: Collection[str]) -> Items:
        """Return what an agent would be given of these keys.

        Raises:
            StoreWriteError: the store cannot be read.
        """
        ...

    def write(self, changes: Mapping[str, Change], *, expect: Expected | None = None) -> None:
        """Write or delete several items at once.

        Raises:
            StoreWriteError: nothing was written; the message says what to do.
        """
        ...

    def describe(self) -> str:
        """Say which store this is, without its password."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...


class Publisher(ConfigurationWriter, Protocol):
    """A store that takes publications: it compares and sets in one atomic step of its own."""

    def publish(self, publication: Publication) -> Landing:
        """Put a document in the place of what stands, if ``landing.judge`` lets it.

        However long the caller was stopped between reading and this call, a lower generation
        never replaces a higher one. Publishing the same again is no second write.

        Raises:
            StoreWriteError: the store is away or refuses; whether the document stands is not
                known, and publishing the same again is safe.
        """
        ...
