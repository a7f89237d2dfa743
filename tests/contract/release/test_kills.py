"""A process killed at any named point leaves the store whole, unlocked, and in a state that says so."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dev.resources import CHECKOUT
from retunable.release.store import deployments
from retunable.release.store.audit import entries
from retunable.release.store.points import Point
from retunable.release.store.verifying import verify
from tests.contract.release.steps import deploy, save

if TYPE_CHECKING:
    from retunable.release.store.records import DeploymentState
    from tests.contract.release.homes import Home

LEFT: dict[Point, DeploymentState | None] = {
    Point.LOCKED: None,
    Point.RECORDED: None,
    Point.PENDING: "pending",
    Point.PUBLISHED: "pending",
    Point.SETTLING: "pending",
    Point.SETTLED: "confirmed",
}


def test_every_point_is_killed_at() -> None:
    assert len(Point) == 6
    assert set(LEFT) == set(Point)


@pytest.mark.parametrize("point", Point)
def test_a_killed_activation_is_whole_or_not_there(home: Home, point: Point) -> None:
    with home.open() as store:
        save(store, role="a")
        save(store, role="b")
        deploy(store, 1)
        killed_at(home, point)

        with store.transaction() as work:
            assert verify(work).problems == ()
            newest, *_ = deployments.deployments(work, "support", environment="production")
            assert LEFT[point] == (newest.state if newest.version == 2 else None)
            active = deployments.active(work, "support", environment="production")
            assert active is not None
            assert active.version == (2 if point is Point.SETTLED else 1)


@pytest.mark.parametrize("point", [point for point, left in LEFT.items() if left == "pending"])
def test_what_a_killed_activation_left_is_settled_once(home: Home, point: Point) -> None:
    with home.open() as store:
        save(store, role="a")
        save(store, role="b")
        deploy(store, 1)
        killed_at(home, point)
        for _ in range(2):
            with store.transaction() as work:
                for left in deployments.pending(work, "support", environment="production"):
                    deployments.confirm(work, left)

        with store.snapshot() as work:
            actions = [entry.action for entry in entries(work)]
            assert verify(work).problems == ()
    assert actions == ["save", "save", "activate", "confirm", "activate", "confirm"]


def killed_at(home: Home, point: Point) -> None:
    program = [sys.executable, "-m", "tests.contract.release.program", "activate"]
    killed = subprocess.run(
        [*program, home.url, point], cwd=CHECKOUT, check=False, capture_output=True, timeout=50
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
