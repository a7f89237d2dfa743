"""When a file is looked at again."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from retunable.sidecar.pace import POLL_SECONDS, Timed, Told, pace_for

LONG_SECONDS = 600.0
MOST_QUEUED = Path("/proc/sys/fs/inotify/max_queued_events")

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of writes"),
    pytest.mark.timeout(60),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "configuration.db"
    made.write_text("")
    return made


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def seconds_of_a_wait(pace: Told, *, found: bool) -> float:
    began = time.monotonic()
    pace.wait(found=found)
    return time.monotonic() - began


@pytest.mark.parametrize("name", ["configuration.db", "configuration.db-wal"])
def test_a_write_to_a_file_or_its_log_ends_the_wait(file: Path, name: str) -> None:
    with closing(Told(file, idle_seconds=LONG_SECONDS)) as pace:
        file.with_name(name).write_text("x")
        pace.wait(found=False)


def test_a_write_beside_it_does_not_end_the_wait(file: Path) -> None:
    with closing(Told(file, idle_seconds=0.05)) as pace:
        file.with_name("messages.db").write_text("x")
        assert seconds_of_a_wait(pace, found=False) >= 0.05


def test_a_look_that_finds_something_ends_the_haste(file: Path) -> None:
    with closing(Told(file, idle_seconds=0.05)) as pace:
        file.write_text("x")
        pace.wait(found=False)
        assert seconds_of_a_wait(pace, found=True) >= POLL_SECONDS


def test_a_second_write_that_was_told_with_the_first_is_looked_for_too(file: Path) -> None:
    with closing(Told(file, idle_seconds=LONG_SECONDS)) as pace:
        file.write_text("x")
        file.write_text("y")
        pace.wait(found=False)
        pace.wait(found=True)
        pace.wait(found=False)


def test_a_write_that_was_lost_among_too_many_is_looked_for(file: Path) -> None:
    most = int(MOST_QUEUED.read_text())
    if most > 50_000:
        pytest.skip(f"this system keeps {most} events")
    with closing(Told(file, idle_seconds=LONG_SECONDS)) as pace:
        one, two = (file.with_name(name).open("wb", buffering=0) for name in ("one", "two"))
        with one, two:
            for _ in range(most):  # in turn, for equal events that follow each other are one
                one.write(b"x")
                two.write(b"x")
        file.write_text("x")
        pace.wait(found=False)


def test_where_the_system_has_no_watch_to_give_there_is_a_timer_and_a_line_says_so(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with no_more_files():
        pace = pace_for(file)
    assert isinstance(pace, Timed)
    (said,) = caplog.messages
    assert "Too many open files" in said


def test_on_another_system_there_is_a_timer(file: Path) -> None:
    assert isinstance(pace_for(file, platform="darwin"), Timed)
