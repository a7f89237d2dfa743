"""From the topic to the envelope, on every backend: canaries end as their users' runs went.

All of a backend's rollouts go on side by side, of three agents in two environments, before the
first test looks.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from dev.dapr import Sidecar
from retunable.release.publishing.site import Site
from retunable.release.store.rollouts import Rollout
from tests.integration.rollouts.dying_program import DYING
from tests.integration.rollouts.telling import Behaviour, healthy, with_canary
from tests.integration.rollouts.world import PATIENCE_SECONDS, World

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]


HEALTHY = Site(agent="first-bot", environment="production", prefix="healthy/")
FAILING = Site(agent="first-bot", environment="staging", prefix="failing/")
HANGING = Site(agent="second-bot", environment="production", prefix="hanging/")
SLOW = Site(agent="second-bot", environment="staging", prefix="slow/")
BEHAVIOURS: Mapping[Site, Behaviour] = {
    HEALTHY: healthy,
    FAILING: with_canary("fails"),
    HANGING: with_canary("hangs"),
    SLOW: with_canary("slowly"),
}
WORSE = pytest.mark.parametrize(
    ("bot", "metrics"),
    # A run without an end is an error and slow: either may be proven first.
    [
        pytest.param(FAILING, {"error"}, id="fails"),
        pytest.param(HANGING, {"error", "slow"}, id="hangs"),
        pytest.param(SLOW, {"slow"}, id="slowly"),
        pytest.param(DYING, {"error", "slow"}, id="dies"),
    ],
)


@dataclass
class Ended:
    """A world whose rollouts are over."""

    world: World
    rollouts: Mapping[Site, Rollout]
    agent_died: int
    agent_again: tuple[int, str]
    """How the agent process ended whose canary is deadly, and how it ended the next time."""


@pytest.fixture(scope="module")
def ended(any_world: World) -> Ended:
    world = any_world
    sidecar = world.sidecar_of(DYING.agent)
    for bot in (*BEHAVIOURS, DYING):
        world.release(bot, provider="deadly" if bot is DYING else "offline")
    world.users(30, healthy, SLOW)  # last week's runs say what is slow
    world.until(world.all_told)
    begun = {bot: world.begin(bot, canary_users=100) for bot in BEHAVIOURS if bot is not HEALTHY}
    begun[HEALTHY] = world.begin(HEALTHY)
    # Its runs are real ones, and a busy machine takes its time for them.
    begun[DYING] = world.begin(DYING, stages=(50,), run_timeout_seconds=8, canary_users=100)
    log = world.folder / "dying.log"
    program = ("-m", "tests.integration.rollouts.dying_program")
    agent = world.child(*program, log=log, environment=sidecar.environment)
    world.until(lambda: world.over(*begun.values()), BEHAVIOURS)
    died = agent.wait(within_seconds=PATIENCE_SECONDS)
    if isinstance(sidecar, Sidecar):
        # As its supervisor has to: Dapr 1.18.2 can lock itself up when its last worker goes
        # (dapr/dapr pull request 10408).
        sidecar.kill()
        sidecar.start()
    again = world.child(*program, log=log, environment=sidecar.environment)
    code = again.wait(within_seconds=PATIENCE_SECONDS)
    assert died is not None
    assert code is not None, log.read_text()
    return Ended(world, begun, died, (code, log.read_text().splitlines()[-1]))


def test_a_healthy_canary_is_promoted_to_everybody(ended: Ended) -> None:
    world, begun = ended.world, ended.rollouts[HEALTHY]

    steps = [(step.state, step.stage) for step in world.steps(begun.id)]
    assert steps == [("running", 1), ("promoted", 1)]
    assert set(world.users(20, healthy, HEALTHY).values()) == {"stable"}
    assert world.snapshot(HEALTHY).version == 2


@WORSE
def test_a_worse_canary_goes_back_by_itself(ended: Ended, bot: Site, metrics: set[str]) -> None:
    world, begun = ended.world, ended.rollouts[bot]

    [*_, last] = world.steps(begun.id)
    assert last.state == "rolled back"
    metric, _, why = last.stamp.reason.partition(": ")
    assert metric in metrics
    assert why.startswith("more users on the canary")
    assert last.numbers["matured"]["canary"] > 0
    snapshot = world.snapshot(bot)
    assert (snapshot.version, snapshot.revoked) == (1, (begun.checksum,))


def test_runs_that_a_canary_killed_with_their_process_are_answered_by_stable(ended: Ended) -> None:
    assert ended.agent_died == -signal.SIGKILL
    assert ended.agent_again == (0, "[1]")


@pytest.mark.parametrize("bot", [*BEHAVIOURS, DYING], ids=lambda bot: str(bot.prefix))
def test_users_outside_were_never_touched(ended: Ended, bot: Site) -> None:
    begun = ended.rollouts[bot]
    rows = ended.world.told(begun)

    assert {row.variant for row in rows} == {"stable", "canary"}
    widest = 100 * max(begun.plan["share"]["stages"])
    assert all(row.bucket < widest for row in rows if row.variant == "canary")
    assert {row.variant for row in rows if row.arm == "stable"} == {"stable"}


def test_nothing_crosses_between_two_environments_of_an_agent(ended: Ended) -> None:
    here, there = ended.world.snapshot(HEALTHY), ended.world.snapshot(FAILING)

    assert (here.agent, here.version, here.revoked) == (there.agent, 2, ())
    assert (there.version, there.revoked) == (1, (ended.rollouts[FAILING].checksum,))


@pytest.mark.parametrize("bot", BEHAVIOURS, ids=lambda bot: str(bot.prefix))
def test_what_was_told_twice_or_late_is_counted_once(ended: Ended, bot: Site) -> None:
    ended.world.until(ended.world.all_told)  # rows and counts are then of one moment
    rows = ended.world.told(ended.rollouts[bot])
    started = sum(row.started for row in ended.world.counts(ended.rollouts[bot]))

    assert started == len({row.run for row in rows if row.kind == "exposure"})


def test_runs_of_a_real_agent_say_which_tool_code_they_began_on(ended: Ended) -> None:
    [code] = {row.tool_code for row in ended.world.told(ended.rollouts[DYING])}

    assert code.startswith("sha256:")
