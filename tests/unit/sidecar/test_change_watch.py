"""Who is told of a commit, and when."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from retunable.sidecar.change_watch import Changes, ChangeWatch
from retunable.sidecar.configuration import ConfigurationFile
from retunable.sidecar.pace import Timed, Told

SECONDS = 20.0
LONG_SECONDS = 600.0


@pytest.fixture
def store(tmp_path: Path) -> ConfigurationFile:
    made = ConfigurationFile(tmp_path / "configuration.db")
    made.read([])
    return made


def timed(_: Path) -> Timed:
    return Timed(0.001)


def only_told(path: Path) -> Told:
    return Told(path, idle_seconds=LONG_SECONDS)


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of writes")


@pytest.fixture(params=[timed, pytest.param(only_told, marks=needs_linux)])
def watch(store: ConfigurationFile, request: pytest.FixtureRequest) -> ChangeWatch:
    return ChangeWatch(store.path, pace=request.param)


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


async def test_a_commit_after_the_log_was_emptied_is_told(
    watch: ChangeWatch, store: ConfigurationFile, keeper: sqlite3.Connection
) -> None:
    with watch.listening() as changes:
        assert await told(changes)
        store.write({"role": "a"})
        assert await told(changes)
        log = store.path.with_name(f"{store.path.name}-wal")
        keeper.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert log.stat().st_size == 0
        store.write({"role": "b"})
        assert await told(changes)


@pytest.mark.parametrize("replaced", ["file", "folder"])
async def test_what_stands_in_the_place_of_the_file_is_watched_on(
    tmp_path: Path, replaced: str
) -> None:
    folder = tmp_path / "data"
    store = ConfigurationFile(folder / "configuration.db")
    store.read([])
    with ChangeWatch(store.path).listening() as changes:
        assert await told(changes)
        if replaced == "file":
            store.path.unlink()
        else:
            folder.rename(tmp_path / "moved away")
        store.write({"role": "a"})
        assert await told(changes)
        store.write({"role": "b"})
        assert await told(changes)


async def test_without_a_listener_nothing_is_polled(store: ConfigurationFile) -> None:
    watch = ChangeWatch(store.path)

    def pollers() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t.name == "watch configuration.db"]

    before = pollers()  # one that was told to stop a moment ago may still be here
    with watch.listening():
        (poller,) = (one for one in pollers() if one not in before)
    await asyncio.to_thread(poller.join, SECONDS)
    assert not poller.is_alive()
