"""Who is told of a commit, and when."""

from __future__ import annotations

import asyncio
import sqlite3
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


async def test_commits_between_two_looks_are_one_change(
    watch: ChangeWatch, store: ConfigurationFile, keeper: sqlite3.Connection
) -> None:
    with watch.listening() as changes:
        await told(changes)
        for text in "abc":
            store.write({"role": text})
        assert await told(changes)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(changes.wait(), 0.05)


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


async def test_without_a_listener_nothing_is_polled(
    watch: ChangeWatch, store: ConfigurationFile
) -> None:
    tasks = asyncio.all_tasks()
    with watch.listening():
        assert len(asyncio.all_tasks()) == len(tasks) + 1
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
