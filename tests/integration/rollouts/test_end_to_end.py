"""From the topic to the envelope: a canary is judged by what its users' runs were like."""

from __future__ import annotations

import random
import time

import pytest

from tests.integration.rollouts.world import PATIENCE_SECONDS, Behaviour, Run, World

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


def healthy(variant: str, luck: random.Random) -> Run:
    """Stable and canary fail alike, in 5 % of runs."""
    return "fails" if luck.random() < 0.05 else "well"


def with_canary(how: Run) -> Behaviour:
    def behaviour(variant: str, luck: random.Random) -> Run:
        if variant == "canary" and luck.random() < 0.6:
            return how
        return healthy(variant, luck)

    return behaviour


def stable_is_known(world: World) -> None:
    """Have last week's runs in the release store: they say what is slow."""
    world.users(30, healthy)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while world.kept() < 30:
        assert time.monotonic() < deadline, "the outcomes did not arrive"
        time.sleep(0.05)


def test_a_healthy_canary_is_promoted_to_everybody(any_world: World) -> None:
    any_world.control()
    rollout = any_world.begin()

    ended = any_world.until(rollout, lambda now: not now.is_live, healthy)

    assert ended.state == "promoted"
    assert [step.stage for step in any_world.steps(rollout.id)] == [1, 1]
    got = any_world.users(20, healthy)
    assert set(got.values()) == {"stable"}
    assert any_world.snapshot().version == 2


# A run without an end is an error and slow: either may be proven first.
@pytest.mark.parametrize(
    ("how", "metrics"),
    [("fails", {"error"}), ("hangs", {"error", "slow"}), ("slowly", {"slow"})],
    ids=["fails", "hangs", "slowly"],
)
def test_a_worse_canary_goes_back_by_itself(world: World, how: Run, metrics: set[str]) -> None:
    world.control()
    stable_is_known(world)
    rollout = world.begin(canary_users=100)

    ended = world.until(rollout, lambda now: not now.is_live, with_canary(how))

    assert ended.state == "rolled back"
    [*_, last] = world.steps(rollout.id)
    metric, _, why = last.stamp.reason.partition(": ")
    assert metric in metrics
    assert why.startswith("more users on the canary")
    assert last.numbers["matured"]["canary"] > 0
    assert set(world.users(20, healthy).values()) == {"stable"}
    snapshot = world.snapshot()
    assert (snapshot.version, snapshot.revoked) == (1, (rollout.checksum,))
