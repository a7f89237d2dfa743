"""Events off the path of a run: what becomes of them with and without a broker."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from pathlib import Path

import pytest

from retunable.events import outbox as module
from retunable.events import spool
from retunable.events.encoding import Encoded
from retunable.events.outbox import Outbox
from retunable.events.spool import Spool
from tests.unit.events.test_spool import event

SECONDS = 20.0


class Broker:
    """A topic that can be away."""

    def __init__(self, *, away: bool = False, refuses: tuple[str, ...] = ()) -> None:
        self.away = away
        self.refuses = refuses
        self.has: list[str] = []
        self.news = asyncio.Event()

    async def publish_encoded(self, event: Encoded) -> bool:
        await asyncio.sleep(0)
        self.news.set()
        if self.away or event.event_id in self.refuses:
            return False
        self.has.append(event.event_id)
        return True

    async def until(self, count: int) -> None:
        async with asyncio.timeout(SECONDS):
            while len(self.has) < count:
                self.news.clear()
                await self.news.wait()
                await asyncio.sleep(0)

    async def until_tried(self) -> None:
        async with asyncio.timeout(SECONDS):
            await self.news.wait()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)
    # What is not given back is then held for longer than any test waits.
    monkeypatch.setattr(spool, "HELD_MS", 3_600_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


def ids(*numbers: int) -> list[str]:
    return [event(number).event_id for number in numbers]


async def test_what_is_put_is_published(path: Path) -> None:
    broker = Broker()
    outbox = Outbox(path)
    outbox.start(broker)
    for number in range(300):
        outbox.put(event(number))
    await broker.until(300)
    await outbox.stop()

    assert sorted(broker.has) == ids(*range(300))


async def test_what_is_put_unhurried_is_published_without_anything_else(path: Path) -> None:
    broker = Broker()
    outbox = Outbox(path)
    outbox.start(broker)
    outbox.put(event(1))
    await broker.until(1)
    await asyncio.sleep(0.1)  # until the thread waits; on a slow day this test proves less
    outbox.put_unhurried(event(2))
    await broker.until(2)
    await outbox.stop()


async def test_what_is_put_unhurried_just_before_the_end_is_kept(path: Path) -> None:
    outbox = Outbox(path)
    outbox.start(Broker(away=True))
    outbox.put_unhurried(event(1))
    await outbox.stop()
    assert len(Spool(path)) == 1


async def test_events_of_an_outage_come_when_it_is_over(path: Path) -> None:
    broker = Broker(away=True)
    outbox = Outbox(path)
    outbox.start(broker)
    outbox.put(event(1))
    await broker.until_tried()
    outbox.put(event(2))
    broker.away = False
    await broker.until(2)
    await outbox.stop()

    assert sorted(set(broker.has)) == ids(1, 2)


async def test_what_was_not_sent_before_the_end_is_sent_by_the_next_process(path: Path) -> None:
    outbox = Outbox(path)
    outbox.start(Broker(away=True))
    outbox.put(event(1))
    await outbox.stop()

    broker = Broker()
    after = Outbox(path)
    after.start(broker)
    await broker.until(1)
    await after.stop()
    assert broker.has == ids(1)


async def test_one_event_that_is_refused_holds_up_no_other(path: Path) -> None:
    broker = Broker(refuses=(event(0).event_id,))
    outbox = Outbox(path)
    outbox.start(broker)
    for number in range(3 * module.BATCH):
        outbox.put(event(number))
    await broker.until(3 * module.BATCH - 1)
    await outbox.stop()

    assert event(0).event_id not in broker.has


async def test_drops_are_counted_and_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(path, most_events=2)
    outbox.start(Broker(away=True))
    with caplog.at_level(logging.ERROR, "retunable"):
        for number in range(5):
            outbox.put(event(number))
        await outbox.stop()

    assert outbox.dropped == 3
    assert "3 events were dropped" in caplog.text


async def test_before_the_disk_has_them_events_are_bounded_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_IN_MEMORY", 10)
    outbox = Outbox(path)
    for number in range(15):
        outbox.put(event(number))

    assert outbox.dropped == 5


async def test_a_file_that_another_process_holds_holds_up_nobody(path: Path) -> None:
    Spool(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    broker = Broker()
    outbox = Outbox(path)
    outbox.start(broker)
    began = time.monotonic()
    for number in range(100):
        outbox.put(event(number))
    assert time.monotonic() - began < 1
    holder.execute("ROLLBACK")
    await broker.until(100)
    await outbox.stop()
    holder.close()
