"""Who is told of a commit, and when."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from retunable.sidecar.change_watch import Changes, ChangeWatch
from retunable.sidecar.configuration import ConfigurationFile
from retunable.sidecar.pace import Look, Timed, Told, pace_for

SECONDS = 20.0
LONG_SECONDS = 600.0


@pytest.fixture
def store(tmp_path: Path) -> ConfigurationFile:
    made = ConfigurationFile(tmp_path / "configuration.db")
    made.read([])
    return made


def timed(_: Path, look: Look) -> Timed:
    return Timed(look, seconds=0.001)


def only_told(path: Path, look: Look) -> Told:
    return Told(path, look, idle_seconds=LONG_SECONDS)


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


def open_files() -> int:
    """Count the files that this process has open, where the system tells."""
    told_by_linux = Path("/proc/self/fd")
    return len(list(told_by_linux.iterdir())) if told_by_linux.is_dir() else 0


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


async def test_a_file_that_comes_later_is_watched_from_then_on(tmp_path: Path) -> None:
    store = ConfigurationFile(tmp_path / "configuration.db")
    with ChangeWatch(store.path).listening() as changes:
        await asyncio.sleep(0.02)
        store.write({"role": "a"})
        assert await told(changes)


async def test_without_a_listener_nobody_looks_and_nothing_stays_open(
    store: ConfigurationFile,
) -> None:
    looks = 0

    def counted(path: Path, look: Look) -> Told | Timed:
        def counting() -> None:
            nonlocal looks
            looks += 1
            look()

        return pace_for(path, counting)

    before = open_files()
    watch = ChangeWatch(store.path, pace=counted)
    with watch.listening() as changes:
        assert await told(changes)
        store.write({"role": "a"})
        assert await told(changes)
    seen = looks
    store.write({"role": "b"})
    await asyncio.sleep(0.2)
    assert looks == seen
    assert open_files() == before


async def test_who_stops_listening_while_told_is_not_told_again(store: ConfigurationFile) -> None:
    watch = ChangeWatch(store.path, pace=timed)
    with watch.listening() as stays:
        with watch.listening() as leaves:
            assert await told(stays)
            assert await told(leaves)
        store.write({"role": "a"})
        assert await told(stays)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await leaves.wait()
