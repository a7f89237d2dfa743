"""Keeps one subscription open and takes what comes: commit first, acknowledge after.

A release store that is away keeps its batch here, unacknowledged, until it is back; a sidecar or a
broker that is away is tried again for ever. Each is said once, and once that it is over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from retunable.errors import ReleaseStoreError, Unavailable
from retunable.waiting import wait_until_set

logger = logging.getLogger("retunable")

FIRST_PAUSE_SECONDS: Final = 0.1
LAST_PAUSE_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 25.0
"""A stream can go silent without ending; one that brought nothing for so long is opened anew.

No divisor of 60: what a killed daprd had taken comes again after 60 s, and where a stream was opened
anew at that very moment the topic could not be subscribed for another 30 s."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; ``id`` is its CloudEvent's, by which it is acknowledged."""

    id: str
    data: bytes


class Stream(Protocol):
    """An open subscription."""

    @property
    def why(self) -> str:
        """Why it ended."""

    async def batch(self) -> Sequence[Message]:
        """Wait for messages and return all that have come; none at the end."""

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Say that messages are done with; on a stream that has ended they come again."""

    async def close(self) -> None:
        """End it; what is not acknowledged comes again."""


class Topic(Protocol):
    """Where messages come from."""

    async def open(self) -> Stream:
        """Begin to get messages; raises Unavailable where that cannot be done now."""


class Takes(Protocol):
    """Writes a batch; raises ReleaseStoreError where none of it was written."""

    def take(self, messages: Sequence[bytes]) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for what is away; a test shortens it."""

    first_seconds: float = FIRST_PAUSE_SECONDS
    last_seconds: float = LAST_PAUSE_SECONDS
    silence_seconds: float = SILENCE_SECONDS


class Intake:
    """Runs until it is stopped; what it has begun to write it finishes and acknowledges."""

    def __init__(self, topic: Topic, ingestion: Takes, *, patience: Patience | None = None) -> None:
        self._topic = topic
        self._ingestion = ingestion
        self._patience = patience or Patience()
        self._stopping = asyncio.Event()
        self._away: str | None = None

    def stop(self) -> None:
        """Have ``run`` return soon."""
        self._stopping.set()

    async def run(self) -> None:
        """Take messages until ``stop``."""
        pause_seconds = self._patience.first_seconds
        while not self._stopping.is_set():
            try:
                stream = await self._topic.open()
            except Unavailable as away:
                self._is_away(str(away))
                await wait_until_set(self._stopping, within_seconds=pause_seconds)
                pause_seconds = min(2 * pause_seconds, self._patience.last_seconds)
                continue
            self._is_back("the topic is read")
            pause_seconds = self._patience.first_seconds
            try:
                await self._follow(stream)
            finally:
                await stream.close()

    async def _follow(self, stream: Stream) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                batch = asyncio.create_task(stream.batch())
                await asyncio.wait(
                    [batch, stopping],
                    timeout=self._patience.silence_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not batch.done():
                    batch.cancel()
                    return
                if not batch.result():
                    if not self._stopping.is_set():
                        logger.info("the stream of events ended (%s); opening it again", stream.why)
                    return
                if await self._taken(batch.result()):
                    await stream.acknowledge(batch.result())
        finally:
            stopping.cancel()

    async def _taken(self, batch: Sequence[Message]) -> bool:
        """Write a batch, however long the store is away; False where it was stopped before."""
        pause_seconds = self._patience.first_seconds
        data = [message.data for message in batch]
        while True:
            try:
                # Not cut off in the middle: what is committed is acknowledged.
                await asyncio.shield(asyncio.to_thread(self._ingestion.take, data))
            except ReleaseStoreError as error:
                self._is_away(str(error))
            else:
                self._is_back("the release store takes events")
                return True
            if await wait_until_set(self._stopping, within_seconds=pause_seconds):
                return False
            pause_seconds = min(2 * pause_seconds, self._patience.last_seconds)

    def _is_away(self, why: str) -> None:
        if self._away != why:
            logger.warning("events are not taken now, they wait: %s", why)
        self._away = why

    def _is_back(self, what: str) -> None:
        if self._away is not None:
            logger.info("%s again", what)
        self._away = None
