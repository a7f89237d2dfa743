"""Records golden histories of rollouts from a real daprd: `python -m tests.replay.record_rollouts NAME`.

By hand, once for each release, as ``record`` does for agents' runs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import dapr.ext.workflow._durabletask.internal.protos as pb
import grpc
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2_grpc import (
    TaskHubSidecarServiceStub,
)

from dev.stack import Stack
from retunable.release.publishing.site import Site
from retunable.release.store.rollouts import Rollout
from tests.integration.rollouts.telling import Behaviour, healthy, with_canary
from tests.integration.rollouts.world import World
from tests.replay.record import write

ROLLOUTS = Path(__file__).with_name("rollouts")
RECORDED: dict[str, Behaviour] = {"promoted": healthy, "rolled-back": with_canary("fails")}
LOOK_SECONDS = 0.7
"""So that a whole rollout is fewer looks than one history has."""


def main(release: str) -> None:
    folder = ROLLOUTS / release
    with (
        tempfile.TemporaryDirectory() as place,
        Stack.redis(Path(place)) as stack,
        World(Path(place), stack) as world,
    ):
        world.control()
        sites = {Site(agent=kind, prefix=f"{kind}/"): each for kind, each in RECORDED.items()}
        begun = {site: begin(world, site, canary_users=200) for site in sites}
        idle = begin(world, Site(agent="waiting", prefix="waiting/"))
        world.until(lambda: world.over(*begun.values()), sites)
        for site, rollout in begun.items():
            world.until(lambda: is_over(world, rollout))  # noqa: B023 - asked in the loop
            write(folder / f"{site.agent}.json", history(world, rollout))
        write(folder / "waiting.json", history(world, idle))


def begin(world: World, site: Site, **policy: Any) -> Rollout:
    """Start a rollout that looks seldom."""
    world.release(site)
    return world.begin(site, look_seconds=LOOK_SECONDS, stages=(20, 50), **policy)


def is_over(world: World, rollout: Rollout) -> bool:
    """Tell whether the workflow has seen that its rollout ended."""
    return any(event.HasField("executionCompleted") for event in history(world, rollout))


def history(world: World, rollout: Rollout) -> list[pb.HistoryEvent]:
    """Return the events of a rollout's last history."""
    address = f"127.0.0.1:{world.stack.environment['DAPR_GRPC_PORT']}"
    with grpc.insecure_channel(address) as channel:
        service: Any = TaskHubSidecarServiceStub(channel)  # type: ignore[no-untyped-call]
        request = pb.GetInstanceHistoryRequest(instanceId=f"rollout-{rollout.id}")
        return list(service.GetInstanceHistory(request, timeout=10).events)


if __name__ == "__main__":
    main(sys.argv[1])
