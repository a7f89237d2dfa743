"""Releases on a real agent: pins that outlive an activation, revocation, and nothing but signed ones."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.stack import RedisStack, Stack
from retunable import ConfigSubscription, DurableAgent
from retunable.config.agent_config import AgentConfig
from retunable.config.items import Item
from retunable.release.opening import open_publisher
from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.operations import Return, override, roll_back
from retunable.release.publishing.outcomes import Activated, Outcome
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.store import versions
from retunable.release.store.release_store import open_release_store
from retunable.release.store.versions import Draft
from retunable.release.store_url import StoreURL
from tests.integration.agent.conftest import MakeAgent
from tests.integration.agent.waiting import until_snapshot
from tests.unit.config.signers import OURS

pytestmark = pytest.mark.redis

AGENT = "released agent"
LAST = 5


@pytest.fixture(autouse=True)
def _environment(dapr: RedisStack, app_of: Callable[[Stack], None]) -> None:
    app_of(dapr)


@pytest.fixture
def site(prefix: str) -> Site:
    return Site(agent=AGENT, environment=prefix.rstrip("/"), prefix=prefix)


@pytest.fixture
def plane(dapr: RedisStack, tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane that signs, with versions 1 to 5 of the agent."""
    publisher = open_publisher(StoreURL.parse(dapr.store.url))
    with open_release_store(f"sqlite:///{tmp_path}/releases.db") as store:
        plane = ControlPlane(store=store, publisher=publisher, key=OURS)
        save(plane, AGENT)
        yield plane
    publisher.close()


def save(plane: ControlPlane, agent: str) -> None:
    """Save versions 1 to 5 of an agent."""
    for number in range(1, LAST + 1):
        config = AgentConfig(role=f"Version {number}", model="small").to_json()
        with plane.store.transaction() as work:
            draft = Draft(agent=agent, config=config | {"tools": []}, reason="x")
            versions.save(work, draft)


@pytest.fixture
def make_released(make_agent: MakeAgent, site: Site) -> Callable[[], DurableAgent]:
    """Make the agent as its program declares it: pinned, and nothing but signed releases."""

    def make(**arguments: Any) -> DurableAgent:
        subscription = ConfigSubscription(
            prefix=site.prefix, last_good_dir=None, accept="releases", trust=(OURS.id,)
        )
        return make_agent(
            name=AGENT,
            environment=site.environment,
            configuration=subscription,
            pin="conversation",
            **arguments,
        )

    return make


async def put(plane: ControlPlane, site: Site, version: int) -> Outcome:
    wish = Wish(version=version, reason="go")
    return await asyncio.to_thread(activate, plane, site, wish)


async def until_version(agent: DurableAgent, version: int) -> None:
    await until_snapshot(agent, lambda snapshot: snapshot.version == version)


async def test_a_pinned_conversation_goes_on_with_its_version_until_it_is_revoked(
    plane: ControlPlane, site: Site, make_released: Callable[[], DurableAgent]
) -> None:
    await put(plane, site, 2)
    await put(plane, site, 3)
    async with make_released() as agent:
        await until_version(agent, 3)
        first = await agent.run("1", conversation_id="pinned")
        await put(plane, site, 4)
        await until_version(agent, 4)
        second = await agent.run("2", conversation_id="pinned")
        fresh = await agent.run("1", conversation_id="fresh")
    async with make_released() as restarted:
        await until_version(restarted, 4)
        third = await restarted.run("3", conversation_id="pinned")
        await put(plane, site, 3)
        await until_version(restarted, 3)
        back = Return(reason="it lies", version=2, revoke=True)
        assert isinstance(await asyncio.to_thread(roll_back, plane, site, back), Activated)
        await until_version(restarted, 2)
        last = await restarted.run("4", conversation_id="pinned")

    assert [run.steps[0].version for run in (first, second, fresh, third, last)] == [3, 3, 4, 3, 2]
    assert "revoked" in (last.steps[0].unpinned or "")


async def test_nothing_but_a_signed_release_changes_it_and_what_is_refused_is_named(
    plane: ControlPlane, site: Site, make_released: Callable[[], DurableAgent], dapr: RedisStack
) -> None:
    await put(plane, site, 1)
    async with make_released() as agent:
        await until_version(agent, 1)
        dapr.set(site.prefix + "agent_role", "By hand")
        refused = await until_snapshot(agent, lambda snapshot: bool(snapshot.rejected))
        overrides = {"role": {"value": "Emergency", "expires_at": "2999-01-01T00:00:00Z"}}
        await asyncio.to_thread(override, plane, site, overrides, reason="it lies")
        held = await until_snapshot(agent, lambda now: now.config.role == "Emergency")

    assert (refused.config.role, refused.rejected[0].code) == ("Version 1", "unsigned")
    assert refused.rejected[0].key == site.prefix + "agent_role"
    assert held.version == 1


Alter = Callable[[dict[str, Any]], Any]
GUARDED, LENIENT = True, False
ALTERED: list[tuple[bool, str, Alter]] = [
    (GUARDED, "signature", lambda envelope: envelope.update(generation=99)),
    (GUARDED, "signature", lambda envelope: envelope["stable"]["config"].update(role="Mallory")),
    (GUARDED, "signature", lambda envelope: envelope["signature"].update(value="AAAA")),
    (GUARDED, "other_agent", lambda envelope: envelope.update(agent="lenient agent")),
    (LENIENT, "checksum", lambda envelope: envelope["stable"].update(checksum="1:sha256:00")),
    (LENIENT, "other_agent", lambda envelope: envelope.update(agent=AGENT)),
    (LENIENT, "other_environment", lambda envelope: envelope.update(environment="production")),
    (LENIENT, "older_generation", lambda envelope: envelope.update(generation=1)),
]


async def test_what_is_altered_in_the_store_by_hand_is_refused_by_name_and_the_last_good_stays(
    plane: ControlPlane,
    site: Site,
    make_released: Callable[[], DurableAgent],
    make_agent: MakeAgent,
    dapr: RedisStack,
) -> None:
    theirs = Site(agent="lenient agent", environment="staging", prefix=f"{site.prefix}theirs/")
    save(plane, theirs.agent)
    subscription = ConfigSubscription(prefix=theirs.prefix, last_good_dir=None)
    lenient = make_agent(name=theirs.agent, environment="staging", configuration=subscription)
    for place in (site, theirs):
        await put(plane, place, 2)
        await put(plane, place, 1)
    async with make_released() as guarded, lenient:
        agents = {GUARDED: (guarded, site), LENIENT: (lenient, theirs)}
        for which, code, alter in ALTERED:
            agent, place = agents[which]
            await until_snapshot(agent, lambda now: now.generation == 2 and not now.rejected)
            good = plane.publisher.read([place.document])[place.document]
            assert isinstance(good, Item)
            alter(altered := json.loads(good.value))
            dapr.set(place.document, json.dumps(altered))
            refused = await until_snapshot(agent, lambda now: bool(now.rejected))
            assert [one.code for one in refused.rejected] == [code]
            assert (refused.version, refused.config.role) == (1, "Version 1")
            assert agents[not which][0].snapshot.rejected == ()
            dapr.set(place.document, good.value)


async def test_an_activation_is_applied_within_a_second(
    plane: ControlPlane, site: Site, make_released: Callable[[], DurableAgent]
) -> None:
    await put(plane, site, 1)
    async with make_released() as agent:
        await until_version(agent, 1)
        seconds = []
        for turn in range(20):
            version = 2 + turn % 2
            begun = time.monotonic()
            await put(plane, site, version)
            await until_version(agent, version)
            seconds.append(time.monotonic() - begun)
    print(f"activation to applied: {sorted(round(s * 1000) for s in seconds)} ms")
    assert sorted(seconds)[len(seconds) // 2] < 1
