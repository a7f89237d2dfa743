"""Tells the control plane what this replica runs on: regularly, and at once when that changes.

A heartbeat that the broker does not take is forgotten: the next one says it all again.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, Protocol

from retunable.agent.status import AgentStatus
from retunable.config.items import Item, Items
from retunable.config.rejection import Rejection
from retunable.config.snapshot import Snapshot
from retunable.errors import NotReady
from retunable.events.event import Event, Heartbeat, ItemSeen, Rejected
from retunable.events.shown_value import digest
from retunable.live.subscription import Timings
from retunable.live.supervision import SupervisedTask
from retunable.waiting import wait_until_set

logger = logging.getLogger("retunable")

INTERVAL_SECONDS: Final = 5.0
FLOOR_SECONDS: Final = 0.1
"""Changes that come faster are told together."""
LIVES_INTERVALS: Final = 3
"""A heartbeat older than so many intervals says nothing of now: the broker forgets it."""
LONGEST_REASON: Final = 500
LAST_WORD_SECONDS: Final = 0.5


class Publisher(Protocol):
    """Sends an event and tells whether the broker has it."""

    async def publish(
        self, event: Event, *, lives_seconds: int | None = None, within_seconds: float = ...
    ) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """Whose heartbeats they are."""

    agent: str
    environment: str
    name: str


class Heartbeats:
    """The heartbeats of one agent of one process, on its event loop."""

    def __init__(
        self,
        replica: Replica,
        publisher: Publisher,
        *,
        snapshot: Callable[[], Snapshot],
        items: Callable[[], Items | None],
        status: Callable[[], AgentStatus],
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        self._replica = replica
        self._publisher = publisher
        self._snapshot = snapshot
        self._items = items
        self._status = status
        self._interval_seconds = interval_seconds
        self._changed = asyncio.Event()
        self._told: dict[str, Any] = {}

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Send them while the block runs, and a last one that says so at its end."""
        task = SupervisedTask("heartbeats", self._run, timings=Timings(), on_death=_gone)
        try:
            yield
        finally:
            await task.stop()
            await self._send(leaving=True, within_seconds=LAST_WORD_SECONDS)

    def look(self) -> None:
        """Something may have changed: send a heartbeat at once if it says something else."""
        if self._says() != self._told:
            self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            await self._send()
            await asyncio.sleep(min(FLOOR_SECONDS, self._interval_seconds))
            rest_seconds = max(0.0, self._interval_seconds - FLOOR_SECONDS)
            await wait_until_set(self._changed, within_seconds=rest_seconds)

    async def _send(self, *, leaving: bool = False, **options: float) -> None:
        self._told = self._says()
        beat = Heartbeat(
            event_id=str(uuid.uuid4()),
            agent=self._replica.agent,
            environment=self._replica.environment,
            replica=self._replica.name,
            at_ms=time.time_ns() // 1_000_000,
            interval_ms=max(1, round(self._interval_seconds * 1000)),
            leaving=leaving,
            **self._told,
        )
        lives = ceil(LIVES_INTERVALS * self._interval_seconds)
        await self._publisher.publish(beat, lives_seconds=lives, **options)

    def _says(self) -> dict[str, Any]:
        status = self._status()
        says = {
            "status": status.state.value,
            "stream": status.stream.value if status.stream else None,
            "revision": 0,
        }
        try:
            return says | _of(self._snapshot(), self._items())
        except NotReady:
            return says


def _of(snapshot: Snapshot, items: Items | None) -> dict[str, Any]:
    rejected = snapshot.rejected
    return {
        "revision": snapshot.revision,
        "generation": snapshot.generation,
        "version": snapshot.version,
        "rejected": tuple(Rejected(one.key, one.reason[:LONGEST_REASON]) for one in rejected),
        "items": None if items is None else _seen(items, rejected),
    }


def _seen(items: Items, rejected: Sequence[Rejection]) -> tuple[ItemSeen, ...]:
    """Return what is said of items: the hash of a short secret could be guessed."""
    secret = {one.key for one in rejected if one.code == "secret"}
    return tuple(
        ItemSeen(key, digest(item.value) if isinstance(item, Item) else None)
        for key, item in items.items()
        if key not in secret
    )


def _gone(_: str) -> None:
    logger.error("the control plane hears no more of this replica; restart the agent")
