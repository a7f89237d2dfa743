"""Takes events off the path of whoever has them: to disk in a thread, to the broker on a loop.

``put`` costs a few microseconds and never waits, fails or raises. Without a broker events wait on
disk; where that fails too they wait here, and the oldest are dropped, counted and told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from retunable.events.encoding import Encoded
from retunable.events.event import Event
from retunable.events.spool import MOST_EVENTS, Spool, Waiting
from retunable.waiting import wait_until_set

logger = logging.getLogger("retunable")

MOST_IN_MEMORY: Final = 10_000
BATCH: Final = 100
AT_ONCE: Final = 20
"""Publishing takes a round trip; one after another would be 1,000 a second at best."""
UNHURRIED_SECONDS: Final = 0.02
RETRY_SECONDS: Final = 0.5
LAST_RETRY_SECONDS: Final = 15.0
IDLE_SECONDS: Final = 30.0
"""How often the file is looked at unasked, for replicas that died may have left events in it."""
HELD_LOOK_SECONDS: Final = 2.0
"""How soon it is looked at again where others hold all that waits."""
STOP_SECONDS: Final = 1.0
TELL_DROPS_SECONDS: Final = 60.0


class Publishes(Protocol):
    """Puts events on their topic."""

    async def publish_encoded(self, event: Encoded) -> bool:
        """Tell whether the broker has the event now."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """What became of a batch."""

    sent: tuple[Waiting, ...]
    unsent: tuple[Waiting, ...]


class Outbox:
    """The events of one agent on their way, between ``start`` and ``stop``.

    ``dropped`` counts those that had to go since the start, ``waiting`` those on disk when it was
    last looked at.
    """

    def __init__(self, path: Path | None, *, most_events: int = MOST_EVENTS) -> None:
        """``path`` is the file that events wait in, None for memory alone."""
        self.dropped = 0
        self.waiting = 0
        self._publisher: Publishes | None = None
        self._path = path
        self._most_events = most_events
        self._new: deque[Event] = deque()
        self._results: deque[_Sent] = deque()
        self._changing = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._is_sending = False
        self._pause_seconds = RETRY_SECONDS
        self._due = 0.0
        self._told_at = -TELL_DROPS_SECONDS
        self._told = 0

    def put(self, event: Event) -> None:
        """Have an event published some time; from any thread."""
        self._add(event)
        self._wake.set()

    def put_unhurried(self, event: Event) -> None:
        """Have an event published that leaves what its teller does next the CPU; on the loop.

        Written to disk at once, by a thread beside the loop, what follows was 0.3 ms later.
        """
        self._add(event)
        if self._loop is not None:
            self._loop.call_later(UNHURRIED_SECONDS, self._wake.set)

    def start(self, publisher: Publishes) -> None:
        """Publish from now on, on the running loop; what was left from before goes first."""
        self._publisher = publisher
        self._loop = asyncio.get_running_loop()
        self._wake.set()
        threading.Thread(target=self._work, name="retunable-events", daemon=True).start()

    async def stop(self) -> None:
        """Put on disk what is here, and let go of what is being sent; within about a second."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])
        self._stopping = True
        self._wake.set()
        await wait_until_set(self._ended, within_seconds=STOP_SECONDS)

    def _add(self, event: Event) -> None:
        with self._changing:
            if len(self._new) >= MOST_IN_MEMORY:
                self._new.popleft()
                self.dropped += 1
            self._new.append(event)

    def _work(self) -> None:
        """The thread's whole life; it alone touches the file."""
        spool = Spool(self._path, most_events=self._most_events)
        is_last = False
        while not is_last:
            wanted = self._due - time.monotonic() if self._due else IDLE_SECONDS
            self._wake.wait(timeout=min(max(wanted, 0), IDLE_SECONDS))
            self._wake.clear()
            is_last = self._stopping
            self._turn(spool)
        spool.close()
        self._on_loop(self._ended.set)

    def _turn(self, spool: Spool) -> None:
        try:
            self._settle(spool)
            self._keep(spool)
            if not (self._stopping or self._is_sending) and time.monotonic() >= self._due:
                self._hand_out(spool)
            self.waiting = len(spool)
        except sqlite3.Error as error:
            logger.warning("events wait in memory, the disk does not take them: %s", error)
            self._back_off()
        self._tell_drops()

    def _keep(self, spool: Spool) -> None:
        with self._changing:
            new = list(self._new)
        if not new:
            return
        self.dropped += spool.append(new)
        with self._changing:
            # Those at the left may have been dropped meanwhile.
            for event in new:
                if self._new and self._new[0] is event:
                    self._new.popleft()

    def _hand_out(self, spool: Spool) -> None:
        batch = spool.take(BATCH, now_ms=time.time_ns() // 1_000_000)
        self._due = 0.0
        if batch:
            self._is_sending = True
            self._on_loop(self._begin_sending, batch)
        elif len(spool):
            self._due = time.monotonic() + HELD_LOOK_SECONDS

    def _settle(self, spool: Spool) -> None:
        while self._results:
            result = self._results[0]
            spool.done(result.sent)
            if result.unsent:
                spool.give_back(result.unsent)
                self._back_off()
            else:
                self._pause_seconds, self._due = RETRY_SECONDS, time.monotonic()
            self._results.popleft()
            self._is_sending = False

    def _back_off(self) -> None:
        self._due = time.monotonic() + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, LAST_RETRY_SECONDS)

    def _tell_drops(self) -> None:
        now = time.monotonic()
        if self.dropped > self._told and now - self._told_at >= TELL_DROPS_SECONDS:
            self._told_at, self._told = now, self.dropped
            logger.error(
                "%d events were dropped since the start: the broker does not take them", self._told
            )

    def _on_loop(self, call: Any, *arguments: Any) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                self._loop.call_soon_threadsafe(call, *arguments)

    def _begin_sending(self, batch: tuple[Waiting, ...]) -> None:
        if self._stopping or self._publisher is None:
            return  # held for a while, and sent by whoever comes next
        sending = self._send(batch, self._publisher)
        self._sending = asyncio.create_task(sending, name="retunable events")

    async def _send(self, batch: tuple[Waiting, ...], publisher: Publishes) -> None:
        sent: list[Waiting] = []
        places = asyncio.Semaphore(AT_ONCE)

        async def send(waiting: Waiting) -> None:
            async with places:
                if await publisher.publish_encoded(waiting.event):
                    sent.append(waiting)

        try:
            await asyncio.gather(*map(send, batch))
        finally:
            unsent = tuple(waiting for waiting in batch if waiting not in sent)
            self._results.append(_Sent(tuple(sent), unsent))
            self._wake.set()
