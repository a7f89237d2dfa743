"""Broker and sidecar away in the middle of a rollout: it goes on, on all the evidence, counted once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dev.part import Part
from dev.stack import Stack
from retunable.release.publishing.site import Site
from retunable.release.store.rollouts import Rollout
from tests.integration.rollouts.telling import healthy
from tests.integration.rollouts.world import CROWD, World

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

BOT = Site(agent="patient-bot", environment="production", prefix="patient/")


def through(world: World, rollout: Rollout, part: Part, away: Callable[[], object]) -> None:
    """Have users come before a part goes away, meanwhile, and after it is back."""
    before = len(world.told(rollout))
    world.until(lambda: len(world.told(rollout)) > before, {BOT: healthy})
    away()
    for _ in range(2):
        world.users(CROWD, healthy, BOT)
    waiting = world.broker.waiting
    assert waiting >= 2 * CROWD, f"{part.name} took what was told while it was away"
    part.start()


def test_a_rollout_goes_on_after_broker_and_sidecar_were_away(any_world: World) -> None:
    world = any_world
    world.release(BOT)
    rollout = world.begin(BOT, stages=(50,), canary_users=90)

    if isinstance(world.stack, Stack) and (broker := world.stack.broker) is not None:
        through(world, rollout, broker, broker.stop)
    sidecar = world.stack.sidecar
    through(world, rollout, sidecar, sidecar.kill)
    assert world.steps(rollout.id) == ()
    world.until(lambda: world.over(rollout), {BOT: healthy})
    world.until(world.all_told)

    [step] = world.steps(rollout.id)
    assert step.state == "promoted"
    [cohort] = step.numbers["cohorts"]
    assert cohort["enrolled"]["canary"] >= 90
    runs = {row.run for row in world.told(rollout)}
    assert sum(row.started for row in world.counts(rollout)) == len(runs)
    assert sum(cohort["enrolled"].values()) <= len(runs)
