"""When a file is looked at again."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from retunable.sidecar.pace import POLL_SECONDS, Pace, Timed, Told, eager_seconds, pace_for

LONG_SECONDS = 600.0
MOST_QUEUED = Path("/proc/sys/fs/inotify/max_queued_events")

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of writes"),
    pytest.mark.timeout(60),
]


class Looks:
    """Counts the looks that a pace asks for."""

    def __init__(self) -> None:
        self._looked = asyncio.Event()

    def look(self) -> None:
        self._looked.set()

    async def next(self) -> float:
        """Wait for the next one; returns after how many seconds it came."""
        began = time.monotonic()
        await self._looked.wait()
        self._looked.clear()
        return time.monotonic() - began


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "configuration.db"
    made.write_text("")
    return made


def write(file: Path) -> None:
    file.write_text("x")


def write_in_turn(*files: Path, times: int) -> None:
    """Write so often to each, in turn: equal events that follow each other are told as one."""
    with ExitStack() as stack:
        opened = [stack.enter_context(file.open("wb", buffering=0)) for file in files]
        for _ in range(times):
            for one in opened:
                one.write(b"x")


def most_queued() -> int:
    return int(MOST_QUEUED.read_text())


@asynccontextmanager
async def told(file: Path, *, idle_seconds: float) -> AsyncIterator[tuple[Pace, Looks]]:
    looks = Looks()
    pace = Told(file, looks.look, idle_seconds=idle_seconds)
    try:
        yield pace, looks
    finally:
        pace.close()


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("name", ["configuration.db", "configuration.db-wal"])
async def test_a_file_is_looked_at_when_it_or_its_log_is_written_to(file: Path, name: str) -> None:
    async with told(file, idle_seconds=LONG_SECONDS) as (pace, looks):
        pace.go_on(found=False)
        write(file.with_name(name))
        await looks.next()


async def test_after_a_write_it_is_looked_at_until_something_is_found(file: Path) -> None:
    async with told(file, idle_seconds=LONG_SECONDS) as (pace, looks):
        write(file)
        await looks.next()
        for _ in range(10):
            pace.go_on(found=False)
            await looks.next()


def test_looks_grow_rare_while_a_write_takes_long_but_no_rarer_than_without_one() -> None:
    pauses = [eager_seconds(since, idle_seconds=0.05) for since in (0.0, 0.01, 0.1, 0.4, 10.0)]
    assert pauses == pytest.approx([0.00005, 0.001, 0.01, 0.04, 0.05])


async def test_a_write_beside_it_is_none_to_it(file: Path) -> None:
    async with told(file, idle_seconds=0.05) as (pace, looks):
        pace.go_on(found=False)
        write(file.with_name("messages.db"))
        assert await looks.next() >= 0.04


async def test_a_look_that_finds_something_ends_the_haste(file: Path) -> None:
    async with told(file, idle_seconds=LONG_SECONDS) as (pace, looks):
        write(file)
        await looks.next()
        await asyncio.sleep(0.001)  # all of the write has been told
        pace.go_on(found=True)
        assert await looks.next() >= 0.9 * POLL_SECONDS


async def test_a_second_write_that_was_told_with_the_first_is_looked_for_too(file: Path) -> None:
    async with told(file, idle_seconds=LONG_SECONDS) as (pace, looks):
        write(file)
        write(file)
        await looks.next()
        pace.go_on(found=True)
        await looks.next()


async def test_a_write_that_was_lost_among_too_many_is_looked_for(file: Path) -> None:
    most = most_queued()
    if most > 50_000:
        pytest.skip(f"this system keeps {most} events")
    async with told(file, idle_seconds=LONG_SECONDS) as (pace, looks):
        pace.go_on(found=False)
        write_in_turn(file.with_name("one"), file.with_name("two"), times=most)
        write(file)
        await looks.next()


async def test_after_the_end_nothing_is_looked_at(file: Path) -> None:
    async with told(file, idle_seconds=0.001) as (pace, looks):
        pace.go_on(found=False)
        write(file)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await looks.next()


async def test_a_timer_looks_again_and_again_until_the_end() -> None:
    looks = Looks()
    pace = Timed(looks.look, seconds=0.01)
    for _ in range(3):
        pace.go_on(found=False)
        assert await looks.next() >= 0.009
    pace.go_on(found=False)
    pace.close()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await looks.next()


async def test_where_the_system_has_no_watch_to_give_there_is_a_timer_and_a_line_says_so(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with no_more_files():
        pace = pace_for(file, Looks().look)
    assert isinstance(pace, Timed)
    (said,) = caplog.messages
    assert "Too many open files" in said


async def test_on_another_system_there_is_a_timer(file: Path) -> None:
    assert isinstance(pace_for(file, Looks().look, platform="darwin"), Timed)
