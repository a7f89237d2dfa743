"""A controller that is killed or stopped anywhere acts once, and brings nothing back."""

from __future__ import annotations

import signal

import psutil
import pytest

from dev.processes import ChildProcess
from retunable.config.items import Item
from retunable.release.opening import open_publisher
from retunable.release.publishing.aborting import Aborted, abort
from retunable.release.publishing.site import Site
from retunable.release.store.points import Point
from retunable.release.store_url import StoreURL
from tests.integration.rollouts.telling import healthy
from tests.integration.rollouts.world import SITE, World

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


def test_a_controller_killed_at_every_point_of_its_moves_makes_each_once(world: World) -> None:
    """One rollout for each point, side by side: each start finds moves to make, and dies in one."""
    bots = [
        Site(agent=f"bot-{point}", environment="default", prefix=f"{point}/") for point in Point
    ]
    for bot in bots:
        world.release(bot)
    begun = [world.begin(bot, stages=(50,)) for bot in bots]
    for bot in bots:
        world.users(60, healthy, bot)  # they wait in the broker: nobody follows them yet
    for point in Point:
        child = world.control_until(point, signal.SIGKILL)
        world.until(lambda: not child.running, dict.fromkeys(bots, healthy))  # noqa: B023 - asked in the loop
        assert child.exit_code == -signal.SIGKILL, point
    world.control()

    world.until(lambda: world.over(*begun), dict.fromkeys(bots, healthy))

    for rollout, bot in zip(begun, bots, strict=True):
        steps = [(step.state, step.stage) for step in world.steps(rollout.id)]
        assert steps == [("promoted", 0)], bot.agent
        assert world.snapshot(bot).version == 2


def test_a_controller_stopped_around_an_abort_brings_nothing_back(world: World) -> None:
    """It has begun to grow the canary, and goes on after the abort."""
    rollout = world.begin()
    child = world.control_until(Point.PENDING, signal.SIGSTOP)
    world.until(lambda: stopped(child), {SITE: healthy})

    publisher = open_publisher(StoreURL.parse(world.store_url))
    assert isinstance(abort(publisher, SITE), Aborted)
    publisher.close()
    child.send(signal.SIGCONT)
    world.until(lambda: world.over(rollout))

    assert world.rollout(rollout.id).state == "aborted"
    assert [step.state for step in world.steps(rollout.id)] == ["aborted"]
    snapshot = world.snapshot()
    assert (snapshot.version, snapshot.canary, snapshot.revoked) == (1, None, (rollout.checksum,))
    assert set(world.users(20, healthy).values()) == {"stable"}


def test_a_changed_flag_discards_the_evidence(world: World) -> None:
    """What is compared is another thing: nobody enrolled before counts any more."""
    world.control()
    rollout = world.begin(stage_users=1000)
    world.users(40, healthy)
    world.flag()
    world.until(lambda: world.steps(rollout.id))

    assert [(step.state, "basis" in step.numbers) for step in world.steps(rollout.id)] == [
        ("running", True)
    ]
    assert world.rollout(rollout.id).is_live


def test_changed_tool_code_discards_the_evidence_once_the_old_one_is_gone(world: World) -> None:
    world.control()
    rollout = world.begin(stage_users=1000)
    world.users(40, healthy)
    world.tool_code = "changed code"
    world.until(lambda: world.steps(rollout.id), {SITE: healthy})

    [step] = world.steps(rollout.id)
    assert step.state == "running"
    assert step.numbers["basis"]["tools"] == "changed code"


def test_what_somebody_wrote_in_its_place_stays_and_nothing_moves(world: World) -> None:
    child = world.control()
    rollout = world.begin(stage_users=1)
    by_hand = '{"agent_role": "By hand"}'
    publisher = open_publisher(StoreURL.parse(world.store_url))
    publisher.write({SITE.document: by_hand})
    log = child.launch.log
    assert log is not None
    world.until(lambda: "waits: version 1" in log.read_text())
    world.users(20, healthy)

    standing = publisher.read([SITE.document])[SITE.document]
    assert isinstance(standing, Item)
    assert standing.value == by_hand
    assert world.steps(rollout.id) == ()
    publisher.close()


def stopped(child: ChildProcess) -> bool:
    return psutil.Process(child.pid).status() == psutil.STATUS_STOPPED
