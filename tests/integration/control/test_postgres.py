"""The control process where PostgreSQL has the configuration, and the releases too or beside it."""

from __future__ import annotations

import pytest

from retunable.cli.exits import ExitCode
from retunable.release.publishing.site import Site
from retunable.release.store.release_store import open_release_store
from retunable.release.store_url import StoreURL
from tests.contract.publication.worlds import leave_pending
from tests.integration.control.world import PostgresWorld, eventually

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.slow,
    pytest.mark.postgresql,
]

SUPPORT = Site(agent="support", environment="default")


def test_replicas_are_heard_and_every_direct_write_is_told_by_the_trigger_alone(
    postgres_world: PostgresWorld,
) -> None:
    world = postgres_world
    world.save("support")
    with open_release_store(world.releases) as store:
        leave_pending(store, SUPPORT, 1, at=StoreURL.parse(world.store()).shown)
    replicas = [world.replica(), world.replica(beat_seconds=60)]
    world.replica("support", environment="staging", prefix="s/")

    control = world.control()
    eventually(
        world.live,
        lambda found: [one.generation for one in found] == [1, 1],
        what="the release that a killed publisher left pending, on both replicas",
    )
    taken = world.retune_json(
        *("set", "agent_role", "Ours", "--agent", "support", "--env", "default", "--timeout", "40")
    )
    assert [one["outcome"] for one in taken["replicas"]] == ["applied", "applied"]

    by_hand = [f"Written past us {number}" for number in range(50)]
    for value in by_hand:
        world.write("agent_goal", value)
    world.write("s/agent_goal", "Somebody else's")
    for replica in replicas:
        replica.wait_log("applying config update", by_hand[-1])

    told = world.retune_json("audit", "support", "--env", "default")["direct_writes"]
    assert [row["new"] for row in told if row["entry"] is None] == by_hand
    assert [row["key"] for row in told if row["entry"] is not None] == ["support", "agent_role"]
    assert world.retune("audit", "--verify").returncode == ExitCode.OK
    assert control.process.terminate() == 0
    assert (world.observed(), world.reports()) == ([], 0)
