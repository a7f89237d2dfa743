"""Tells the control plane which items changed in the store, whoever changed them.

What our own commands did is left out there, by what they wrote down: a replica cannot know. On
PostgreSQL the table's own trigger writes down every change, so that nothing is told.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from retunable.config.declaration import Declaration
from retunable.config.items import Item, StoreKind, Unreadable
from retunable.events.event import Event, ObservedChange
from retunable.events.shown_value import shown_value
from retunable.live.witness import ItemChange, Stood


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectWrites:
    """The changes that one replica sees; ``put`` takes their events and never waits."""

    declaration: Declaration
    replica: str
    put: Callable[[Event], None]

    def saw(self, changes: tuple[ItemChange, ...], store: StoreKind) -> None:
        """Tell of what changed between two readings."""
        if store == "postgresql":
            return
        for change in changes:
            event = self._event(change, store)
            if event.old != event.new:
                self.put(event)

    def _event(self, change: ItemChange, store: StoreKind) -> ObservedChange:
        return ObservedChange(
            event_id=str(uuid.uuid4()),
            agent=self.declaration.agent,
            environment=self.declaration.environment,
            replica=self.replica,
            at_ms=time.time_ns() // 1_000_000,
            key=change.key,
            item="document" if change.key == self.declaration.document else "override",
            old=shown_value(change.key, _text(change.old, store)),
            new=shown_value(change.key, _text(change.new, store)),
            not_before_ms=max(0, int(change.not_before * 1000)),
            not_after_ms=int(change.not_after * 1000) + 1,
        )


def _text(stood: Stood, store: StoreKind) -> str | None:
    """Return the item as it stands in the store; Redis's component splits it at ``||``."""
    match stood:
        case None:
            return None
        case Item(value, version):
            return f"{value}||{version}" if version and store == "redis" else value
        case Unreadable(reason):
            return f"[cannot be read: {reason}]"
        case _:
            assert_never(stood)
