"""``retune control`` with real replicas, sidecars and brokers: what it hears and what comes of it."""

from __future__ import annotations

import signal

import pytest

from retunable.cli.exits import ExitCode
from tests.integration.control.world import World, eventually

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


def test_a_direct_write_that_two_replicas_saw_is_one_entry_though_control_came_later(
    world: World,
) -> None:
    replicas = [world.replica(), world.replica()]
    world.replica("billing", environment="staging", prefix="b/")

    world.write("agent_role", "Written past us")
    for replica in replicas:
        replica.wait_log("applying config update", "Written past us")
    control = world.control()
    eventually(world.reports, lambda found: found == 2, what="the reports of two replicas")

    [entry] = world.observed()
    assert (entry.agent, entry.environment) == ("support", "default")
    told = {name: entry.data[name] for name in ("key", "item", "old", "new", "fields")}
    assert told == {
        "key": "agent_role",
        "item": "override",
        "old": None,
        "new": "Written past us",
        "fields": ["role"],
    }
    assert world.retune("audit", "--verify").returncode == ExitCode.OK
    assert control.process.terminate() == 0


def test_what_changed_while_nobody_ran_is_told_by_the_next_start_and_ours_is_not(
    world: World,
) -> None:
    world.control()
    replica = world.replica(app_id="support")
    world.write("agent_role", "First")
    replica.wait_log("applying config update", "First")
    eventually(world.reports, lambda found: found == 1, what="the first report")
    world.save("support")
    world.retune_json("activate", "support", "1", "-m", "ours", "--wait", "--timeout", "40")
    assert replica.process.terminate() == 0

    world.write("agent_goal", "While nobody ran")
    world.replica(app_id="support")
    # The release, the role that it cleared, and the goal.
    eventually(world.reports, lambda found: found == 4, what="a report of each change")

    assert [(one.data["key"], one.data["old"], one.data["new"]) for one in world.observed()] == [
        ("agent_role", None, "First"),
        ("agent_goal", None, "While nobody ran"),
    ]


def test_wait_hears_every_live_replica(world: World) -> None:
    control = world.control()
    world.replica()
    # Live for three minutes after its last heartbeat; what changes is told at once all the same.
    strict = world.replica(limit=10, beat_seconds=60)
    world.replica("support", environment="staging", prefix="s/")
    world.wait_live(2)
    world.wait_live(1, environment="staging")

    world.save("support", max_iterations=5)
    taken = world.retune_json("activate", "support", "1", "-m", "w", "--wait", "--timeout", "40")
    assert [one["outcome"] for one in taken["replicas"]] == ["applied", "applied"]

    world.save("support", max_iterations=20)
    refused = world.retune_json(
        *("activate", "support", "2", "-m", "w", "--wait", "--timeout", "40"),
        code=ExitCode.REJECTED,
    )
    reasons = [one["reason"] for one in refused["replicas"] if one["outcome"] == "rejected"]
    assert len(reasons) == 1
    assert "max_iterations" in reasons[0]

    strict.process.send(signal.SIGSTOP)
    missing = world.retune_json(
        *("rollback", "support", "-m", "w", "--wait", "--timeout", "1"),
        code=ExitCode.NOT_CONFIRMED,
    )
    silent = [one["replica"] for one in missing["replicas"] if one["outcome"] == "not_confirmed"]
    assert f":{strict.process.pid}" in silent[-1]

    control.process.kill()
    world.control()
    strict.process.send(signal.SIGCONT)
    eventually(
        world.live,
        lambda found: [one.generation for one in found] == [3, 3],
        what="what both run on, told to the next control process",
    )
    assert [one.generation for one in world.live(environment="staging")] == [None]


@pytest.mark.parametrize("world", ["embedded"], indirect=True)
@pytest.mark.embedded
def test_a_replica_that_stops_or_dies_is_not_waited_for(world: World) -> None:
    world.control()
    stops, dies = world.replica(), world.replica()
    stays = world.replica(beat_seconds=60)
    world.wait_live(3)

    assert stops.process.terminate() == 0
    dies.process.kill()
    world.wait_live(1)

    world.save("support")
    taken = world.retune_json("activate", "support", "1", "-m", "w", "--wait", "--timeout", "40")
    assert [one["replica"].rpartition(":")[2] for one in taken["replicas"]] == [
        str(stays.process.pid)
    ]
