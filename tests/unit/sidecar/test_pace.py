"""When a file is looked at again."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from retunable.sidecar.pace import Timed, Told

LONG_SECONDS = 600.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of writes")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "configuration.db"
    made.write_text("")
    return made


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["configuration.db", "configuration.db-wal"])
def test_a_write_to_a_file_or_its_log_ends_the_wait(file: Path, name: str) -> None:
    with closing(Told(file, idle_seconds=LONG_SECONDS)) as pace:
        file.with_name(name).write_text("x")
        pace.wait(found=False)


def test_a_write_beside_it_makes_nobody_eager(file: Path) -> None:
    with closing(Told(file, idle_seconds=0.01)) as pace:
        file.with_name("messages.db").write_text("x")
        pace.wait(found=False)
        began = time.monotonic()
        pace.wait(found=False)
        assert time.monotonic() - began >= 0.01  # it waited for news, and did not look at once


@pytest.mark.timeout(60)
def test_a_look_that_finds_something_ends_the_haste(file: Path) -> None:
    with closing(Told(file, idle_seconds=0.01)) as pace:
        file.write_text("x")
        pace.wait(found=False)
        began = time.monotonic()
        pace.wait(found=True)
        assert time.monotonic() - began >= 0.01


def test_without_a_folder_to_watch_there_is_a_timer(tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "configuration.db"
    assert isinstance(Told.where_possible(absent, otherwise=0.005), Timed)
