"""What comes is written first and acknowledged after, however often anything is away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from retunable.control.ingestion import event_of
from retunable.control.intake import Intake, Message, Patience
from retunable.errors import ReleaseStoreError, Unavailable
from retunable.events.encoding import to_json
from tests.unit.events.made import EVENTS

QUICK = Patience(first_seconds=0.01, last_seconds=0.02, silence_seconds=30)
PATIENCE_SECONDS = 20


@dataclass
class Broker:
    """A topic: each opening is one stream of batches; what is not acknowledged comes again."""

    waiting: list[Message] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    opened: int = 0
    tried: int = 0
    away: bool = False
    silent: bool = False
    why: str = "ended"
    _end: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> Broker:
        self.tried += 1
        if self.away:
            raise Unavailable("the broker is away", part="component")
        self.opened += 1
        self._end = asyncio.Event()
        return self

    async def batch(self) -> Sequence[Message]:
        while (self.silent or not self.waiting) and not self._end.is_set():  # noqa: ASYNC110 - the test changes both
            await asyncio.sleep(0.01)
        return () if self._end.is_set() else tuple(self.waiting)

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        self.done += [message.id for message in messages]
        self.waiting = [message for message in self.waiting if message not in messages]

    async def close(self) -> None:
        return None

    def end(self) -> None:
        self._end.set()


@dataclass
class Store:
    """A release store that a test can take away."""

    written: list[bytes] = field(default_factory=list)
    refused: int = 0
    away: bool = False
    before_commit: Callable[[], None] = lambda: None

    def take(self, messages: Sequence[bytes]) -> int:
        if self.away:
            self.refused += 1
            raise ReleaseStoreError("the release store is away")
        self.before_commit()
        self.written += messages
        return len(messages)


@asynccontextmanager
async def taking(
    broker: Broker, store: Store, *, patience: Patience = QUICK
) -> AsyncIterator[Intake]:
    intake = Intake(broker, store, patience=patience)
    task = asyncio.create_task(intake.run())
    try:
        yield intake
    finally:
        intake.stop()
        await asyncio.wait_for(task, PATIENCE_SECONDS)


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not fact():  # noqa: ASYNC110 - any fact
            await asyncio.sleep(0.005)


def message(number: int = 1) -> Message:
    return Message(str(number), b"{}")


async def test_a_message_is_acknowledged_once_it_is_written() -> None:
    broker = Broker([message(1), message(2)])
    too_early: list[str] = []
    store = Store(before_commit=lambda: too_early.extend(broker.done))
    async with taking(broker, store):
        await until(lambda: broker.done == ["1", "2"])

    assert too_early == []
    assert store.written == [b"{}", b"{}"]


async def test_while_the_store_is_away_messages_wait_and_it_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, store = Broker([message()]), Store(away=True)
    async with taking(broker, store):
        await until(lambda: store.refused > 3)
        assert broker.done == []
        store.away = False
        await until(lambda: broker.done == ["1"])

    assert caplog.text.count("the release store is away") == 1


async def test_a_broker_that_is_away_is_tried_until_it_is_back() -> None:
    broker, store = Broker([message()], away=True), Store()
    async with taking(broker, store):
        await until(lambda: broker.tried > 3)
        broker.away = False
        await until(lambda: broker.done == ["1"])


async def test_a_stream_that_ends_is_opened_again() -> None:
    broker = Broker()
    async with taking(broker, Store()):
        await until(lambda: broker.opened == 1)
        broker.end()
        await until(lambda: broker.opened == 2)


async def test_a_stream_that_brings_nothing_is_opened_again() -> None:
    broker = Broker([message()], silent=True)
    patience = Patience(first_seconds=0.01, last_seconds=0.02, silence_seconds=0.05)
    async with taking(broker, Store(), patience=patience):
        await until(lambda: broker.opened > 2)


async def test_it_stops_while_the_store_is_away_and_acknowledges_nothing() -> None:
    broker, store = Broker([message()]), Store(away=True)
    async with taking(broker, store):
        await until(lambda: store.refused > 0)

    assert broker.done == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"kind": "heartbeat"}', id="no event"),
        pytest.param(json.dumps({**to_json(EVENTS[1]), "new": "a\0"}).encode(), id="a NUL"),
        pytest.param(json.dumps({**to_json(EVENTS[1]), "new": "\ud800"}).encode(), id="half"),
    ],
)
def test_what_is_no_event_is_let_go_and_said(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert event_of(data) is None
    assert "is no event" in caplog.text


def test_an_event_is_read() -> None:
    assert event_of(json.dumps(to_json(EVENTS[0])).encode()) == EVENTS[0]
