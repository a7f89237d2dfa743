"""The one reference that is swapped, and what follows from a swap.

Reads come in, a snapshot is built by the pure core, and only one that says something else
than before takes its place. Log, callbacks and the file on disk come after the swap.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from retunable.config.build import build
from retunable.config.declaration import Declaration
from retunable.config.items import Items, StoreKind
from retunable.config.last_good import LastGood
from retunable.config.snapshot import Snapshot
from retunable.live.applied import applied_lines, rejected_lines
from retunable.live.callbacks import Callbacks
from retunable.live.health import (
    Event,
    LiveStatus,
    ReadFailed,
    ReadSucceeded,
    Served,
    Source,
    TaskDied,
)
from retunable.live.memory import Memory
from retunable.live.reading import Known
from retunable.live.status_board import StatusBoard
from retunable.live.store import FailureKind
from retunable.live.stream_health import StreamHealth
from retunable.live.subscription import ConfigSubscription
from retunable.live.witness import ItemChange, Witness

logger = logging.getLogger("retunable")


class SnapshotCell:
    """Holds what one agent runs on now."""

    def __init__(self, declaration: Declaration, subscription: ConfigSubscription) -> None:
        self.snapshot: Snapshot | None = None
        self.items: Items | None = None
        self.changes: Callbacks[Snapshot] = Callbacks()
        self.board = StatusBoard(declaration.agent, subscription.timings)
        self.memory: Memory | None = None
        self.wall_clock: Callable[[], float] = time.time
        self.witnessed: Callable[[tuple[ItemChange, ...], StoreKind], None] | None = None
        self._witness = Witness(
            call_seconds=subscription.timings.call_deadline_seconds,
            absent_seconds=subscription.timings.absent_key_seconds,
        )
        self._declaration = declaration
        self._start_without_store = subscription.start_without_store
        self._last_good = LastGood()
        self._built_from: tuple[Known, StoreKind] | None = None

    @property
    def status(self) -> LiveStatus:
        """The status at this moment."""
        return self.board.status

    def restore(self, memory: Memory) -> None:
        """Take over the last good items of an earlier process."""
        self.memory = memory
        self._last_good = memory.load() or self._last_good
        if memory.unchanged_at is not None:
            self._witness.remember(self._last_good.items, at=memory.unchanged_at)

    def read(self, known: Known, *, store: StoreKind) -> None:
        """Take in what the store holds: first for whoever runs on it, then for who looks on."""
        self.items = known.items
        if (known, store) != self._built_from or self._has_expired():
            self._build(known, store=store)
        self._compare(known, store=store)
        lost = self.snapshot.lost if self.snapshot else ()
        self.board.note(ReadSucceeded(self.board.clock(), lost))

    def failed(self, failure: FailureKind | None, detail: str) -> None:
        """The store was not read: what was known goes on, or what stands in for it."""
        events: list[Event] = [ReadFailed(failure, detail)]
        if self.snapshot is None:
            events += self._stand_in()
        elif self._built_from is not None and self._has_expired():
            known, store = self._built_from
            self._build(known, store=store)
        self.board.note(*events)

    def stream_changed(self, health: StreamHealth) -> None:
        """What is known about the stream is another than before."""
        self.board.stream_changed(health)

    def task_died(self, name: str) -> None:
        """A background task is gone for good."""
        self.board.note(TaskDied(name))

    def _compare(self, known: Known, *, store: StoreKind) -> None:
        changes = self._witness.saw(known.items, store=store, now=self.wall_clock())
        if changes and self.witnessed is not None:
            self.witnessed(changes, store)
        elif self.memory is not None and known.items == self._last_good.items:
            self.memory.still_so()

    def _stand_in(self) -> list[Event]:
        if self._last_good.items:
            self._build(Known(self._last_good.items), store="other")
            return [Served(Source.DISK)]
        if self._start_without_store:
            self._build(Known(), store="other")
            return [Served(Source.DEFAULTS)]
        return []

    def _has_expired(self) -> bool:
        # Noticed at the next read, so within a reconcile interval, store up or down.
        ends = self.snapshot.expires_at if self.snapshot else None
        return ends is not None and ends <= self.wall_clock()

    def _build(self, known: Known, *, store: StoreKind) -> None:
        self._built_from = (known, store)
        built = build(
            self._declaration,
            known.items,
            last_good=self._last_good,
            store=store,
            whole=known.whole,
            now=self.wall_clock(),
        )
        old = self.snapshot
        self._last_good = built.last_good
        if old is None or not built.snapshot.same_as(old):
            revision = old.revision + 1 if old else 1
            self.snapshot = replace(built.snapshot, revision=revision)
            self._swapped(old, self.snapshot)
        if self.memory is not None:
            self.memory.remember(built.last_good)

    def _swapped(self, old: Snapshot | None, new: Snapshot) -> None:
        self.changes.tell(old, new)
        if logger.isEnabledFor(logging.INFO):
            for line in applied_lines(old, new, field_keys=self._declaration.field_keys):
                logger.info("%s", line)
        for line in rejected_lines(old, new):
            logger.warning("%s", line)
