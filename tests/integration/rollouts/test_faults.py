"""A controller that is killed or stopped anywhere acts once, and brings nothing back."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import psutil
import pytest

from dev.processes import ChildProcess
from retunable.config.items import Item
from retunable.release.opening import open_publisher
from retunable.release.publishing.aborting import Aborted, abort
from retunable.release.store.points import Point
from retunable.release.store_url import StoreURL
from tests.integration.rollouts.test_end_to_end import healthy, with_canary
from tests.integration.rollouts.world import PATIENCE_SECONDS, SITE, World

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

# All six take a minute; each is killed at in the contract suite, without a workflow around it.
KILLS = (
    tuple(Point) if os.environ.get("RETUNABLE_KILLS") == "all" else (Point.PENDING, Point.PUBLISHED)
)
OTHER = replace(SITE, agent="other-bot", environment="staging", prefix="other/")


def test_a_controller_killed_at_every_point_of_its_moves_makes_each_once(world: World) -> None:
    rollout = world.begin()
    for point in KILLS:
        child = world.control_until(point, signal.SIGKILL)
        world.until(rollout, lambda _: not child.running, healthy)  # noqa: B023 - asked in the loop
        assert child.exit_code == -signal.SIGKILL, point
    world.control()

    ended = world.until(rollout, lambda now: not now.is_live, healthy)

    assert ended.state == "promoted"
    assert [(step.state, step.stage) for step in world.steps(rollout.id)] == [
        ("running", 1),
        ("promoted", 1),
    ]
    assert world.snapshot().version == 2


def test_a_controller_stopped_around_an_abort_brings_nothing_back(world: World) -> None:
    """It has begun to grow the canary, and goes on after the abort."""
    rollout = world.begin()
    child = world.control_until(Point.PENDING, signal.SIGSTOP)
    world.until(rollout, lambda _: stopped(child), healthy)

    publisher = open_publisher(StoreURL.parse(world.store_url))
    assert isinstance(abort(publisher, SITE), Aborted)
    publisher.close()
    child.send(signal.SIGCONT)
    ended = world.until(rollout, lambda now: not now.is_live)

    assert ended.state == "aborted"
    assert [step.state for step in world.steps(rollout.id)] == ["aborted"]
    snapshot = world.snapshot()
    assert (snapshot.version, snapshot.canary, snapshot.revoked) == (1, None, (rollout.checksum,))
    assert set(world.users(20, healthy).values()) == {"stable"}


def test_nothing_crosses_between_two_agents_and_two_environments(world: World) -> None:
    world.control()
    world.release(OTHER)
    good, bad = world.begin(stages=(50,)), world.begin(OTHER, stages=(50,))

    went_back = world.until(bad, lambda now: not now.is_live, with_canary("fails"), OTHER)
    assert world.rollout(good.id).stage == 0
    ended = world.until(good, lambda now: not now.is_live, healthy)

    assert (went_back.state, ended.state) == ("rolled back", "promoted")
    assert (world.snapshot(OTHER).version, world.snapshot().version) == (1, 2)


def test_a_changed_flag_discards_the_evidence(world: World) -> None:
    """What is compared is another thing: nobody enrolled before counts any more."""
    world.control()
    rollout = world.begin(stage_users=1000)
    world.users(40, healthy)
    deadline = time.monotonic() + PATIENCE_SECONDS
    world.flag()
    while not (steps := world.steps(rollout.id)):
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert [(step.state, "basis" in step.numbers) for step in steps] == [("running", True)]
    assert world.rollout(rollout.id).is_live


def test_what_somebody_wrote_in_its_place_stays_and_nothing_moves(world: World) -> None:
    child = world.control()
    rollout = world.begin(stage_users=1)
    by_hand = '{"agent_role": "By hand"}'
    publisher = open_publisher(StoreURL.parse(world.store_url))
    publisher.write({SITE.document: by_hand})
    log = child.launch.log
    assert log is not None
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "waits: version 1" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    world.users(20, healthy)

    standing = publisher.read([SITE.document])[SITE.document]
    assert isinstance(standing, Item)
    assert standing.value == by_hand
    assert world.steps(rollout.id) == ()
    publisher.close()


def stopped(child: ChildProcess) -> bool:
    return psutil.Process(child.pid).status() == psutil.STATUS_STOPPED
