"""An abort reaches a live agent within a second: no release store and no controller is asked."""

from __future__ import annotations

import asyncio
import time

import pytest

from retunable import ConfigSubscription, DurableAgent
from retunable.release.opening import open_publisher
from retunable.release.publishing.aborting import Aborted, abort
from retunable.release.publishing.site import Site
from retunable.release.store_url import StoreURL
from tests.integration.agent.waiting import until_snapshot
from tests.integration.rollouts.world import World

ROUNDS = 7
SITE = Site(agent="aborted-bot", environment="production", prefix="aborted/")


async def test_an_abort_is_applied_within_a_second(
    any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_world.release(SITE)
    for name, value in any_world.sidecar_of(SITE.agent).environment.items():
        monkeypatch.setenv(name, value)
    agent = DurableAgent(
        SITE.agent,
        environment=SITE.environment,
        provider="offline",
        model="offline",
        configuration=ConfigSubscription(prefix=SITE.prefix, last_good_dir=None),
    )
    seconds = []
    async with agent:
        for _ in range(ROUNDS):
            rollout = await asyncio.to_thread(any_world.begin, SITE)
            await until_snapshot(agent, lambda now: now.canary is not None)
            began = time.monotonic()
            await asyncio.to_thread(_abort, any_world)
            await until_snapshot(agent, lambda now: now.canary is None)
            seconds.append(time.monotonic() - began)
            assert agent.snapshot.revoked == (rollout.checksum,)
            await asyncio.to_thread(any_world.mend, SITE)
    print(
        f"{any_world.stack.backend}: abort to applied {sorted(round(one * 1000) for one in seconds)} ms"
    )
    assert sorted(seconds)[len(seconds) // 2] < 1


def _abort(world: World) -> None:
    publisher = open_publisher(StoreURL.parse(world.store_url))
    assert isinstance(abort(publisher, SITE), Aborted)
    publisher.close()
