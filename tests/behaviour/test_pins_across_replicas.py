"""A conversation stays on its version on whichever replica it goes on, until the version is revoked."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from retunable.config.agent_config import AgentConfig
from retunable.release.opening import open_publisher
from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.operations import Return, roll_back
from retunable.release.publishing.outcomes import Activated
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.store import versions
from retunable.release.store.release_store import open_release_store
from retunable.release.store.versions import Draft
from retunable.release.store_url import StoreURL
from tests.behaviour.agent_settings import AGENT, AgentSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.behaviour.agent_process import AgentProcess, Json
    from tests.behaviour.lab import Lab

PINNED = AgentSettings(pin="conversation")
SITE = Site(agent=AGENT)
STAGING = Site(agent=AGENT, environment="staging", prefix="staging/")
OTHER = Site(agent="another", prefix="another/")


@pytest.fixture
def plane(lab: Lab, tmp_path: Path) -> Iterator[ControlPlane]:
    """Versions 1 to 4 of two agents, none of them active."""
    url = StoreURL.parse(lab.backend.environment["RETUNABLE_STORE"])
    with (
        closing(open_publisher(url)) as publisher,
        open_release_store(f"sqlite:///{tmp_path}/releases.db") as store,
    ):
        plane = ControlPlane(store=store, publisher=publisher)
        for number in range(1, 5):
            for site in (SITE, OTHER):
                _save(plane, site, number)
        yield plane


def test_a_pinned_conversation_keeps_its_version_on_every_replica_until_it_is_revoked(
    lab: Lab, plane: ControlPlane
) -> None:
    for number in (2, 3):
        put(plane, SITE, number)
    one, two = lab.start_agent(PINNED), lab.start_replica(PINNED)
    until_version(3, one, two)
    first = said(one, "pinned")

    for site in (SITE, STAGING, OTHER):
        put(plane, site, 4)
    until_version(4, one, two)
    steps = [first, said(one, "pinned"), said(two, "pinned")]
    fresh = [said(agent, f"fresh {n}")["version"] for n, agent in enumerate((one, two))]

    # Which of two replicas runs a turn is Dapr's decision; of one that is left it is not.
    one.kill()
    steps.append(said(two, "pinned"))
    one = lab.start_agent(PINNED)
    until_version(4, one)
    two.kill()
    steps.append(said(one, "pinned"))
    assert ([step["version"] for step in steps], fresh) == ([3] * 5, [4, 4])
    assert steps[-2]["replica"] != steps[-1]["replica"]

    two = lab.start_replica(PINNED)
    put(plane, SITE, 3)
    back = Return(reason="it lies", version=2, revoke=True)
    assert isinstance(roll_back(plane, SITE, back), Activated)
    until_version(2, one, two)
    left = said(two, "pinned")
    assert (left["version"], left["unpinned"]) == (2, "version 3 was revoked")
    one.kill()
    assert said(two, "pinned")["version"] == 2


def said(agent: AgentProcess, conversation: str) -> Json:
    """Say something in a conversation; what the record of the answer's first step says."""
    run = agent.answer("And now?", conversation_id=conversation)
    explained: Json = agent.http.get(f"/agent/runs/{run['run_id']}/explain").json()
    record: Json = explained["steps"][0]["record"]
    return record


def until_version(number: int, *agents: AgentProcess) -> None:
    for agent in agents:
        agent.wait_config(
            lambda config: config["version"] == number,
            what=f"version {number}",
            within_seconds=20,
        )


def put(plane: ControlPlane, site: Site, number: int) -> None:
    assert isinstance(activate(plane, site, Wish(version=number, reason="go")), Activated)


def _save(plane: ControlPlane, site: Site, number: int) -> None:
    config = AgentConfig(role=f"Version {number}", model="small").to_json() | {"tools": ["note"]}
    with plane.store.transaction() as work:
        versions.save(work, Draft(agent=site.agent, config=config, reason="x"))
