"""The embedded sidecar as a child: it never stays behind, and a kept one comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dev.part import http_status
from dev.processes import is_alive, wait_until
from retunable.errors import Unavailable
from retunable.sidecar.child import SidecarChild
from retunable.sidecar.kept import KeptSidecar
from retunable.sidecar.settings import SidecarSettings

pytestmark = pytest.mark.embedded

END_SECONDS = 15.0
PARENT = """
import sys, time
from pathlib import Path
from retunable.sidecar.child import SidecarChild
from retunable.sidecar.settings import SidecarSettings
child = SidecarChild.start(SidecarSettings(app_id="demo", data_dir=Path(sys.argv[1])))
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def settings(tmp_path: Path) -> SidecarSettings:
    return SidecarSettings(app_id="demo", data_dir=tmp_path / "data")


@pytest.fixture
def child(settings: SidecarSettings) -> Iterator[SidecarChild]:
    started = SidecarChild.start(settings)
    yield started
    started.stop(within_seconds=END_SECONDS)


@pytest.fixture
def kept(settings: SidecarSettings) -> Iterator[KeptSidecar]:
    running = KeptSidecar(settings)
    running.start()
    yield running
    running.stop()


def serves(http_port: int) -> bool:
    return http_status(http_port, "/v1.0/healthz") == 204


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "retunable.sidecar" in one.cmdline()]


def test_it_serves_on_the_ports_that_it_says(child: SidecarChild) -> None:
    assert serves(child.http_port)
    assert child.grpc_port not in (0, child.http_port)


def test_it_ends_with_zero_when_it_is_asked_to(settings: SidecarSettings) -> None:
    assert SidecarChild.start(settings).stop(within_seconds=END_SECONDS) == 0


def test_one_that_hangs_is_killed(settings: SidecarSettings) -> None:
    started = SidecarChild.start(settings)
    os.kill(started.pid, signal.SIGSTOP)
    assert started.stop(within_seconds=0.1) == -signal.SIGKILL


def test_a_second_one_is_told_who_runs(child: SidecarChild, settings: SidecarSettings) -> None:
    with pytest.raises(Unavailable, match=f"pid {child.pid}, gRPC port {child.grpc_port}"):
        SidecarChild.start(settings)


def test_one_that_is_not_ready_in_time_is_ended(settings: SidecarSettings) -> None:
    with pytest.raises(Unavailable, match="not ready within 0 s"):
        SidecarChild.start(settings, ready_seconds=0.0)
    assert children() == []


def test_it_ends_with_a_parent_that_was_killed(settings: SidecarSettings) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(settings.data_dir)], stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        orphan = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    wait_until(lambda: not is_alive(orphan), what="the child's end", within_seconds=END_SECONDS)


def test_a_kept_one_that_was_killed_is_back_on_its_ports(kept: KeptSidecar) -> None:
    [first] = children()
    first.kill()
    wait_until(lambda: kept.restarts == 1, what="another child", within_seconds=END_SECONDS)
    assert serves(kept.settings.http_port)
    assert kept.away is None
    assert [one.pid for one in children()] != [first.pid]


def test_a_kept_one_that_is_stopped_stays_away(kept: KeptSidecar) -> None:
    kept.stop()
    assert children() == []
    assert kept.restarts == 0


def test_a_kept_one_that_cannot_start_keeps_nothing(
    child: SidecarChild, settings: SidecarSettings
) -> None:
    second = KeptSidecar(settings)
    with pytest.raises(Unavailable, match="runs already"):
        second.start()
    second.stop()
    assert [one.pid for one in children()] == [child.pid]
