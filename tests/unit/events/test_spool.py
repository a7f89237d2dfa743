"""The queue on disk: what is kept, in which order, for whom, and what has to go."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import retunable.events.spool as module
from retunable.events.encoding import from_json
from retunable.events.event import Event, Exposure
from retunable.events.spool import HELD_MS, Spool
from tests.unit.events.made import EVENTS, SERVED, TOLD

NOW = 1_790_000_000_000


def event(number: int) -> Event:
    return replace(Exposure(**TOLD, **SERVED), event_id=f"{number:036d}")


def numbers(spool: Spool, most: int = 100, *, now_ms: int = NOW) -> list[int]:
    return [int(waiting.event.event_id) for waiting in spool.take(most, now_ms=now_ms)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "events.db"


def test_events_come_out_in_the_order_in_which_they_came(path: Path) -> None:
    spool = Spool(path)
    spool.append([event(1), event(2)])
    spool.append([event(3)])

    assert numbers(spool, 2) == [1, 2]
    assert numbers(spool, 2) == [3]


def test_what_is_kept_is_what_goes_to_the_broker(path: Path) -> None:
    spool = Spool(path)
    for number, one in enumerate(EVENTS):
        spool.append([replace(one, event_id=f"{number:036d}")])
    taken = [waiting.event for waiting in spool.take(100, now_ms=NOW)]

    assert [from_json(json.loads(event.data)) for event in taken] == [
        replace(one, event_id=f"{number:036d}") for number, one in enumerate(EVENTS)
    ]
    assert [event.kind for event in taken] == [event.kind for event in EVENTS]


def test_an_event_that_is_told_twice_waits_once(path: Path) -> None:
    spool = Spool(path)
    spool.append([event(1)])
    spool.append([event(1), event(2)])

    assert numbers(spool) == [1, 2]


def test_what_the_broker_has_is_gone_also_after_a_restart(path: Path) -> None:
    spool = Spool(path)
    spool.append([event(1), event(2)])
    spool.done(spool.take(1, now_ms=NOW))
    spool.close()

    assert numbers(Spool(path)) == [2]


def test_two_replicas_of_one_folder_take_different_events(path: Path) -> None:
    one, other = Spool(path), Spool(path)
    one.append([event(1), event(2)])

    assert (numbers(one, 1), numbers(other, 1)) == ([1], [2])


def test_what_a_killed_replica_held_is_free_after_a_while(path: Path) -> None:
    one, other = Spool(path), Spool(path)
    one.append([event(1)])
    one.take(1, now_ms=NOW)

    assert numbers(other, now_ms=NOW + HELD_MS - 1) == []
    assert numbers(other, now_ms=NOW + HELD_MS) == [1]


def test_a_clock_that_is_put_back_holds_nothing_for_long(path: Path) -> None:
    spool = Spool(path)
    spool.append([event(1)])
    spool.take(1, now_ms=NOW)

    assert numbers(spool, now_ms=NOW - 86_400_000) == [1]


def test_what_could_not_be_sent_is_taken_again_at_once(path: Path) -> None:
    spool = Spool(path)
    spool.append([event(1)])
    spool.give_back(spool.take(1, now_ms=NOW))

    assert numbers(spool) == [1]


def test_beyond_its_bound_the_oldest_go_and_are_counted(path: Path) -> None:
    spool = Spool(path, most_events=3)
    dropped = [spool.append([event(n)]) for n in range(5)]

    assert dropped == [0, 0, 0, 1, 1]
    assert numbers(spool) == [2, 3, 4]


def test_the_bound_holds_over_a_restart(path: Path) -> None:
    Spool(path, most_events=3).append([event(n) for n in range(3)])

    assert Spool(path, most_events=3).append([event(3)]) == 1


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    Spool(path)

    assert path.stat().st_mode & 0o777 == 0o600


def test_a_corrupt_file_is_set_aside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with caplog.at_level(logging.WARNING, "retunable"):
        spool = Spool(path)
    spool.append([event(1)])

    assert spool.on_disk
    assert "set aside" in caplog.text
    assert numbers(spool) == [1]


def test_without_a_disk_events_wait_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a file").touch()
    with caplog.at_level(logging.WARNING, "retunable"):
        spool = Spool(tmp_path / "a file" / "events.db")
    spool.append([event(1)])

    assert not spool.on_disk
    assert "in memory" in caplog.text
    assert numbers(spool) == [1]


KILLED = """
import os, signal, sys
from pathlib import Path
from retunable.events.spool import Spool
from tests.unit.events.test_spool import event
spool = Spool(Path(sys.argv[1]))
for number in range(50):
    spool.append([event(number)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_kept_survives_a_kill(path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=50)

    assert killed.returncode == -9
    assert numbers(Spool(path)) == list(range(50))


def test_a_file_that_another_replica_is_making_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BUSY_SECONDS", 60.0)
    path.parent.mkdir()
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        ThreadPoolExecutor() as pool,
    ):
        other.execute("BEGIN IMMEDIATE")
        opening = pool.submit(Spool, path)
        wait([opening], timeout=0.2)
        other.execute("COMMIT")

        assert opening.result(timeout=60).on_disk
