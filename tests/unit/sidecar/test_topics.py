"""How long an app is left alone with a message that it did not take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from retunable.sidecar import topics
from retunable.sidecar.change_watch import ChangeWatch
from retunable.sidecar.cloud_event import CloudEvent
from retunable.sidecar.database import Database
from retunable.sidecar.messages import SCHEMA, Message, Topic, publish
from retunable.sidecar.topics import LONGEST_RETRY_SECONDS, Stream, Topics, retry_seconds

SECONDS = 20.0
ORDERS = Topic("pubsub", "orders")


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.open(tmp_path / "messages.db", [SCHEMA])


async def next_of(stream: Stream) -> Message:
    message = await asyncio.wait_for(stream.next(), SECONDS)
    assert message is not None
    return message


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator[Stream]:
    """Read as one app does from its start to its end."""
    watch = ChangeWatch(database.path)
    async with Topics(database, watch, app_id="shop").stream(ORDERS) as stream:
        yield stream


@pytest.fixture
def replaceable(tmp_path: Path) -> Database:
    """Messages as a sidecar opens them."""
    return Database.open(tmp_path / "data" / "messages.db", [SCHEMA], replaceable=True)


@contextmanager
def folder_away(database: Database) -> Iterator[None]:
    """Have a file stand where the folder was."""
    folder = database.path.parent
    kept = folder.rename(folder.with_name("moved away"))
    folder.touch()
    yield
    folder.unlink()
    kept.rename(folder)


async def refused(caplog: pytest.LogCaptureFixture) -> None:
    """Wait until a topic could not be read."""
    async with asyncio.timeout(SECONDS):
        while "action=read_topic" not in caplog.text:  # noqa: ASYNC110 - a log tells nobody
            await asyncio.sleep(0.005)


async def put(database: Database, *texts: str) -> None:
    events = [CloudEvent({"id": text}, text.encode()) for text in texts]
    await database.write(lambda c: publish(c, ORDERS, events, now=0.0))


def test_the_delay_grows_to_its_longest() -> None:
    delays = [retry_seconds(attempts) for attempts in range(200)]
    assert delays[:3] == [1.0, 2.0, 4.0]
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_RETRY_SECONDS


async def test_a_message_that_was_asked_for_again_counts_its_attempts(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "FIRST_RETRY_SECONDS", 0.001)
    await put(database, "a")
    async with reading(database) as stream:
        for attempts in range(3):
            message = await next_of(stream)
            assert message.attempts == attempts
            await stream.again(message)
    async with reading(database) as stream:
        assert (await next_of(stream)).attempts == 3


async def test_what_was_held_is_given_first_to_the_next_reader(database: Database) -> None:
    await put(database, "a", "b")
    async with reading(database) as stream:
        await stream.done(await next_of(stream))
    await put(database, "c")
    async with reading(database) as stream:
        assert [(await next_of(stream)).event.data for _ in range(2)] == [b"b", b"c"]


async def test_a_topic_is_read_on_when_its_folder_is_back(
    replaceable: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(topics, "FIRST_RETRY_SECONDS", 0.01)
    await put(replaceable, "a")
    reader = Topics(replaceable, ChangeWatch(replaceable.path), app_id="shop")
    async with reader.stream(ORDERS) as stream:
        await stream.done(await next_of(stream))
        with folder_away(replaceable):
            async with reader.stream(ORDERS):  # whoever comes has it read again
                await refused(caplog)
        await put(replaceable, "b")
        assert (await next_of(stream)).event.data == b"b"


async def test_a_topic_that_could_not_be_read_at_first_is_read_later(
    replaceable: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(topics, "FIRST_RETRY_SECONDS", 0.01)
    await put(replaceable, "a")
    async with AsyncExitStack() as stack:
        with folder_away(replaceable):
            stream = await stack.enter_async_context(reading(replaceable))
            await refused(caplog)
        assert (await next_of(stream)).event.data == b"a"


async def test_an_ended_stream_gives_what_it_was_given_and_then_nothing(
    database: Database,
) -> None:
    await put(database, "a")
    async with reading(database) as stream:
        message = await next_of(stream)
        stream.end()
        assert await asyncio.wait_for(stream.next(), SECONDS) is None
        await stream.done(message)
