"""What a test does with a release store, in one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retunable.config.agent_config import AgentConfig
from retunable.events.event import ObservedChange
from retunable.release.store import (
    approvals,
    deployments,
    observations,
    policies,
    rollouts,
    versions,
)
from retunable.release.store.deployments import Begun, Intent
from retunable.release.store.versions import Draft, Saved

if TYPE_CHECKING:
    from retunable.release.store.records import Deployment, Version
    from retunable.release.store.release_store import ReleaseStore
    from tests.contract.release.homes import Home


OBSERVED = ObservedChange(
    event_id="7b9c1f0e-6a1e-4f3b-9a57-0d1f5f6f2b11",
    agent="support",
    environment="production",
    replica="host:1",
    at_ms=2_000,
    key="agent_role",
    item="override",
    old=None,
    new="by hand",
    not_before_ms=1_000,
    not_after_ms=2_000,
)


def config_json(**fields: Any) -> dict[str, Any]:
    """A complete config that any program could run."""
    return AgentConfig(model="gpt-5-mini", tools=()).to_json() | fields


def save(store: ReleaseStore, agent: str = "support", **fields: Any) -> Version:
    """Save a version that must be a new one."""
    with store.transaction() as work:
        saved = versions.save(
            work, Draft(agent=agent, config=config_json(**fields), reason="a reason")
        )
    assert isinstance(saved, Saved), saved
    return saved.version


def intent(version: int | None, **parts: Any) -> Intent:
    """An activation of agent ``support`` in ``production``, but for what is given."""
    usual: dict[str, Any] = {
        "agent": "support",
        "environment": "production",
        "action": "activate",
        "reason": "because",
        "published": 0,
    }
    return Intent(version=version, **(usual | parts))


def begin(store: ReleaseStore, version: int | None, **parts: Any) -> Deployment:
    """Begin a deployment that must not be refused."""
    with store.transaction() as work:
        begun = deployments.begin(work, intent(version, **parts))
    assert isinstance(begun, Begun), begun
    return begun.deployment


def deploy(store: ReleaseStore, version: int | None, **parts: Any) -> Deployment:
    """Begin and confirm in one transaction, as where both stores are one database."""
    with store.transaction() as work:
        begun = deployments.begin(work, intent(version, **parts))
        assert isinstance(begun, Begun), begun
        return deployments.confirm(work, begun.deployment)


def fill(home: Home) -> None:
    """Write a row into every table, and some of another agent in another environment."""
    with home.open(person="maria") as store:
        saved = save(store, role="a")
    with home.open(person="ben") as store:
        with store.transaction() as work:
            approvals.approve(work, "support", 1, environment="production", reason="")
        deploy(store, 1)
    with home.open() as store, store.transaction() as work:
        policies.set_policy(work, "support", environment="production", reason="")
        draft = rollouts.Draft(
            id="r1",
            agent="support",
            environment="production",
            version=1,
            checksum=saved.checksum,
            reason="",
        )
        begun = rollouts.begin(work, draft)
        assert isinstance(begun, rollouts.Rollout)
        rollouts.take_step(work, begun, state="aborted", reason="")
    with home.open(person="maria") as store:
        save(store, "billing", role="b")
        deploy(store, 1, agent="billing", environment="staging")
    with home.open() as store, store.transaction() as work:
        observations.record(work, OBSERVED)
