"""Hands the messages of a topic to the streams of one app: each to one of them, until it is done.

A message that its stream did not acknowledge is given again: at once where the stream ended, after
a growing delay where the app asked for it, at the next start where the sidecar was killed.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from retunable.errors import DatabaseUnavailable
from retunable.sidecar.change_watch import Changes, ChangeWatch
from retunable.sidecar.database import Database
from retunable.sidecar.messages import (
    Message,
    Topic,
    acknowledge,
    count_attempt,
    has_new,
    read_pending,
    take_new,
)
from retunable.waiting import wait_until_set

log = logging.getLogger(__name__)

IN_FLIGHT: Final = 10
"""How many messages a stream holds unacknowledged, as Dapr's Redis component does."""

FIRST_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 30.0


def retry_seconds(attempts: int) -> float:
    """Return how long an app is left alone before it is given a message again."""
    return min(FIRST_RETRY_SECONDS * 2.0 ** min(attempts, 10), LONGEST_RETRY_SECONDS)


class Stream:
    """One stream's share of a topic."""

    def __init__(self, feed: _Feed, topic: Topic) -> None:
        self.topic = topic
        self._feed = feed
        self._given: asyncio.Queue[Message | None] = asyncio.Queue()
        self.held: dict[int, Message] = {}

    async def next(self) -> Message | None:
        """Wait for a message; None where the stream was ended."""
        return await self._given.get()

    def end(self) -> None:
        """Have ``next`` return None after what was given already."""
        self._given.put_nowait(None)

    def give(self, message: Message) -> None:
        self.held[message.id] = message
        self._given.put_nowait(message)

    async def done(self, message: Message) -> None:
        """Note that the app is done with a message."""
        await self._feed.done(message)
        self._let_go(message)

    async def again(self, message: Message) -> None:
        """Have a message given again after a while."""
        retried = await self._feed.again(message)
        self._let_go(message)
        self._feed.wait_for(retried)

    def _let_go(self, message: Message) -> None:
        self.held.pop(message.id, None)
        self._feed.wake()


class Topics:
    """The topics that one app reads; ``clock`` gives seconds since the epoch."""

    def __init__(
        self,
        database: Database,
        watch: ChangeWatch,
        *,
        app_id: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._watch = watch
        self._app_id = app_id
        self._clock = clock
        self._feeds: dict[Topic, _Feed] = {}

    @property
    def read(self) -> tuple[Topic, ...]:
        """The topics with an open stream."""
        return tuple(self._feeds)

    def end(self) -> None:
        """End every stream, in order."""
        for feed in self._feeds.values():
            feed.end_streams()

    @asynccontextmanager
    async def stream(self, topic: Topic) -> AsyncIterator[Stream]:
        """Take a share of a topic; what it holds at the end goes to another one."""
        feed = self._feeds.get(topic)
        if feed is None:
            feed = self._feeds[topic] = _Feed(
                self._database, topic, app_id=self._app_id, clock=self._clock
            )
            feed.begin(self._watch)
        stream = Stream(feed, topic)
        feed.join(stream)
        try:
            yield stream
        finally:
            if feed.leave(stream):
                del self._feeds[topic]
                await feed.end()


class _Feed:
    """One topic of one app, while it has streams."""

    def __init__(
        self, database: Database, topic: Topic, *, app_id: str, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._topic = topic
        self._app_id = app_id
        self._clock = clock
        self._streams: list[Stream] = []
        self._ready: deque[Message] = deque()
        self._later: list[tuple[float, int, Message]] = []
        self._numbers = itertools.count()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, watch: ChangeWatch) -> None:
        self._tasks = [asyncio.create_task(self._listen(watch)), asyncio.create_task(self._feed())]

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def end_streams(self) -> None:
        for stream in self._streams:
            stream.end()

    def join(self, stream: Stream) -> None:
        self._streams.append(stream)
        self.wake()

    def leave(self, stream: Stream) -> bool:
        """Take back what a stream holds; tells whether it was the last one."""
        self._streams.remove(stream)
        self._ready.extendleft(reversed(list(stream.held.values())))
        self.wake()
        return not self._streams

    def wake(self) -> None:
        self._wake.set()

    async def done(self, message: Message) -> None:
        app_id = self._app_id
        await self._database.write_sometime(lambda c: acknowledge(c, app_id, message.id))

    async def again(self, message: Message) -> Message:
        app_id = self._app_id
        await self._database.write_sometime(lambda c: count_attempt(c, app_id, message.id))
        return Message(message.id, message.event, message.attempts + 1)

    def wait_for(self, message: Message) -> None:
        """Give a message again when its delay is over, by a clock that nobody sets."""
        due = time.monotonic() + retry_seconds(message.attempts - 1)
        heapq.heappush(self._later, (due, next(self._numbers), message))
        self.wake()

    async def _listen(self, watch: ChangeWatch) -> None:
        with watch.listening() as changes:
            while True:
                await self._changed(changes)

    async def _changed(self, changes: Changes) -> None:
        await changes.wait()
        self.wake()

    async def _feed(self) -> None:
        await self._done_sometime(self._take_pending)
        while True:
            self._wake.clear()
            await self._done_sometime(self._hand_out)
            await wait_until_set(self._wake, within_seconds=self._seconds_to_next())

    async def _done_sometime(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do it as soon as the file can be used, whatever was wrong: nobody else would."""
        while True:
            try:
                return await step()
            except DatabaseUnavailable as error:
                log.warning("action=read_topic topic=%s error=%s", self._topic.name, error)
                await asyncio.sleep(FIRST_RETRY_SECONDS)

    async def _take_pending(self) -> None:
        # By the writer: after whatever an earlier feed of this topic had still asked of it.
        self._ready.extend(
            await self._database.write(lambda c: read_pending(c, self._app_id, self._topic))
        )

    async def _hand_out(self) -> None:
        """Give away everything that can be given now."""
        while free := sum(IN_FLIGHT - len(stream.held) for stream in self._streams):
            self._take_due()
            if not self._ready and not await self._take_new(free):
                return
            while self._ready and (stream := self._freest()) is not None:
                stream.give(self._ready.popleft())

    def _freest(self) -> Stream | None:
        free = [stream for stream in self._streams if len(stream.held) < IN_FLIGHT]
        return min(free, key=lambda stream: len(stream.held), default=None)

    def _take_due(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            self._ready.append(heapq.heappop(self._later)[2])

    async def _take_new(self, limit: int) -> bool:
        app_id, topic = self._app_id, self._topic
        if not await self._database.read(lambda c: has_new(c, app_id, topic)):
            return False
        now = self._clock()
        taken = await self._database.write(
            lambda c: take_new(c, app_id, topic, limit=limit, now=now)
        )
        self._ready.extend(taken)
        return True

    def _seconds_to_next(self) -> float | None:
        return max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
