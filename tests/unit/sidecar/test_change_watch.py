"""Who is told of a commit, and when."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from retunable.sidecar.change_watch import Changes, ChangeWatch
from retunable.sidecar.configuration import ConfigurationFile

SECONDS = 20.0


@pytest.fixture
def store(tmp_path: Path) -> ConfigurationFile:
    made = ConfigurationFile(tmp_path / "configuration.db")
    made.read([])
    return made


@pytest.fixture
def watch(store: ConfigurationFile) -> ChangeWatch:
    return ChangeWatch(store.path, poll_seconds=0.001)


@pytest.fixture
def keeper(store: ConfigurationFile) -> Iterator[sqlite3.Connection]:
    """A connection that stays open, as a sidecar's own does."""
    connection = sqlite3.connect(store.path, isolation_level=None)
    connection.execute("SELECT * FROM configuration").fetchall()
    yield connection
    connection.close()


async def told(changes: Changes) -> bool:
    try:
        await asyncio.wait_for(changes.wait(), SECONDS)
    except TimeoutError:
        return False
    return True


async def test_every_listener_is_told_of_a_commit(
    watch: ChangeWatch, store: ConfigurationFile, keeper: sqlite3.Connection
) -> None:
    with watch.listening() as one, watch.listening() as two:
        assert await told(one)  # the first look
        assert await told(two)
        store.write({"role": "a"})
        assert await told(one)
        assert await told(two)


async def test_a_file_that_is_replaced_is_watched_on(
    watch: ChangeWatch, store: ConfigurationFile
) -> None:
    with watch.listening() as changes:
        assert await told(changes)
        store.path.unlink()
        store.write({"role": "a"})
        assert await told(changes)
        store.write({"role": "b"})
        assert await told(changes)


async def test_without_a_listener_nothing_is_polled(watch: ChangeWatch) -> None:
    def pollers() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t.name == "watch configuration.db"]

    before = pollers()  # one that was told to stop a moment ago may still be here
    with watch.listening():
        (poller,) = (one for one in pollers() if one not in before)
    await asyncio.to_thread(poller.join, SECONDS)
    assert not poller.is_alive()
