"""Messages between apps: kept, shared, given again."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from dapr.proto.runtime.v1 import appcallback_pb2, pubsub_pb2

from dev.processes import wait_until
from retunable.sidecar.child import SidecarChild
from retunable.sidecar.topics import IN_FLIGHT
from tests.integration.sidecar.conftest import StartSidecar

pytestmark = pytest.mark.embedded

SECONDS = 20.0
Answer = appcallback_pb2.TopicEventResponse
OpenStub = Callable[[SidecarChild], Any]


class Reader:
    """One streaming subscription."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def next(self) -> Any:
        reply = await asyncio.wait_for(self._call.read(), SECONDS)
        return reply.event_message

    async def answer(self, message: Any, status: Any = Answer.SUCCESS) -> None:
        done = pubsub_pb2.SubscribeTopicEventsRequestProcessedAlpha1(
            id=message.id, status=Answer(status=status)
        )
        await self._call.write(pubsub_pb2.SubscribeTopicEventsRequestAlpha1(event_processed=done))

    async def take(self) -> bytes:
        """Read a message and be done with it."""
        message = await self.next()
        await self.answer(message)
        return bytes(message.data)


@asynccontextmanager
async def reading(dapr: Any, topic: str = "orders", dead_letter: str = "") -> AsyncIterator[Reader]:
    call = dapr.SubscribeTopicEventsAlpha1()
    initial = pubsub_pb2.SubscribeTopicEventsRequestInitialAlpha1(
        pubsub_name="pubsub", topic=topic, dead_letter_topic=dead_letter
    )
    await call.write(pubsub_pb2.SubscribeTopicEventsRequestAlpha1(initial_request=initial))
    assert (await asyncio.wait_for(call.read(), SECONDS)).HasField("initial_response")
    yield Reader(call)
    call.cancel()


async def publish(dapr: Any, *texts: str, topic: str = "orders") -> None:
    for text in texts:
        await dapr.PublishEvent(
            pubsub_pb2.PublishEventRequest(pubsub_name="pubsub", topic=topic, data=text.encode())
        )


async def test_what_was_published_before_anybody_read_is_not_lost(dapr: Any) -> None:
    await publish(dapr, "a", "b")
    async with reading(dapr) as reader:
        assert [await reader.take(), await reader.take()] == [b"a", b"b"]


async def test_an_app_reads_what_another_one_published(
    dapr: Any, start_sidecar: StartSidecar, open_stub: OpenStub
) -> None:
    other = open_stub(start_sidecar("desk"))
    async with reading(dapr) as ours, reading(other) as theirs:
        await publish(other, "a")
        assert await ours.take() == b"a"
        assert await theirs.take() == b"a"


async def test_streams_of_one_app_share_the_messages(dapr: Any) -> None:
    async with reading(dapr) as one, reading(dapr) as two:
        await publish(dapr, "a", "b")
        first, second = await one.next(), await two.next()
    assert {first.data, second.data} == {b"a", b"b"}


async def test_a_stream_holds_no_more_than_its_share(dapr: Any) -> None:
    async with reading(dapr) as slow:
        await publish(dapr, *map(str, range(IN_FLIGHT + 1)))
        held = [await slow.next() for _ in range(IN_FLIGHT)]
        async with reading(dapr) as quick:
            assert await quick.take() == str(IN_FLIGHT).encode()
        assert len(held) == IN_FLIGHT


async def test_what_a_stream_left_unanswered_goes_to_another(dapr: Any) -> None:
    async with reading(dapr) as other:
        async with reading(dapr) as leaving:
            await publish(dapr, "a", "b")
            await leaving.next()
        assert {await other.take(), await other.take()} == {b"a", b"b"}


async def test_what_was_asked_for_again_comes_again_and_what_was_dropped_does_not(
    dapr: Any,
) -> None:
    async with reading(dapr) as reader:
        await publish(dapr, "dropped", "again")
        await reader.answer(await reader.next(), Answer.DROP)
        await reader.answer(await reader.next(), Answer.RETRY)
        assert await reader.take() == b"again"
        await publish(dapr, "last")
        assert await reader.take() == b"last"


async def test_what_was_dropped_lies_in_the_dead_letter_topic(dapr: Any) -> None:
    async with reading(dapr, dead_letter="dead") as reader, reading(dapr, "dead") as dead:
        await publish(dapr, "bad")
        message = await reader.next()
        await reader.answer(message, Answer.DROP)
        letter = await dead.next()
        assert (letter.id, letter.data) == (message.id, b"bad")


async def test_a_killed_sidecar_gives_what_was_not_answered_again_and_nothing_else(
    start_sidecar: StartSidecar, open_stub: OpenStub, data_dir: Path
) -> None:
    child = start_sidecar()
    dapr = open_stub(child)
    async with reading(dapr) as reader:
        await publish(dapr, "done", "held")
        await reader.answer(await reader.next())
        await reader.next()
        await asyncio.to_thread(
            lambda: wait_until(
                lambda: pending(data_dir) == 1, what="the answer", within_seconds=SECONDS
            )
        )
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    again = open_stub(start_sidecar())
    async with reading(again) as reader:
        await publish(again, "new")
        assert [await reader.take(), await reader.take()] == [b"held", b"new"]


def pending(data_dir: Path) -> int:
    """Count what was given and not answered."""
    with closing(sqlite3.connect(data_dir / "messages.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM pending").fetchone()[0])
