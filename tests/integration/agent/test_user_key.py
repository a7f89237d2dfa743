"""Users that flags list, found in real runs with a key from a Dapr secret store, and told by hash."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.dapr import DaprBinaries
from dev.resources import REDIS_RESOURCES
from dev.stack import Stack
from retunable import ConfigSubscription, DurableAgent, Secret
from retunable.config.agent_config import AgentConfig
from retunable.config.checksum import checksum
from retunable.config.targeting import ListKey
from retunable.testing import EmbeddedSidecar
from tests.integration.agent.waiting import until_snapshot

AGENT = "keyed agent"
SECRET = "of the test"
LIST = ListKey.of(SECRET.encode())


def envelope() -> str:
    values = {"role": "R", "model": "offline", "provider": "offline", "tools": ()}
    config = AgentConfig().with_values(values).to_json()
    users = {"key_id": LIST.id, "hashes": [LIST.listed_as("beta", "zoe")]}
    return json.dumps(
        {
            "retunable": 1,
            "agent": AGENT,
            "environment": "default",
            "generation": 1,
            "stable": {"version": 1, "checksum": checksum(config), "config": config},
            "flags": [
                {"name": "beta", "users": users, "set": {"goal": "be bold"}},
                {"name": "old", "percent": 100, "expires_at": "2020-01-01T00:00:00Z"},
            ],
        }
    )


@pytest.fixture
def resources(tmp_path: Path) -> Path:
    """Dapr's components with a secret store, whose file has the key."""
    folder = tmp_path / "resources"
    shutil.copytree(REDIS_RESOURCES, folder)
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"user-key": SECRET}))
    component = {
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "secretstore"},
        "spec": {
            "type": "secretstores.local.file",
            "version": "v1",
            "metadata": [{"name": "secretsFile", "value": str(secrets)}],
        },
    }
    (folder / "secretstore.yaml").write_text(json.dumps(component))
    return folder


@pytest.fixture
def on_embedded(tmp_path: Path, resources: Path) -> Iterator[None]:
    only = tmp_path / "embedded resources"
    only.mkdir()
    shutil.copy(resources / "secretstore.yaml", only)
    with EmbeddedSidecar(tmp_path, resources_path=only) as sidecar:
        sidecar.set("keyed_agent", envelope())
        yield


@pytest.fixture
def on_daprd(
    tmp_path: Path,
    resources: Path,
    dapr_binaries: DaprBinaries,
    redis_program: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    with Stack.redis(tmp_path / "stack", resources=resources) as stack:
        stack.set("keyed_agent", envelope())
        for name, value in stack.environment.items():
            monkeypatch.setenv(name, value)
        yield


async def listed_flags(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """Run for a user in the list and for one who is not; return what each got and what was told."""
    agent = DurableAgent(
        AGENT,
        model="offline",
        provider="offline",
        configuration=ConfigSubscription(last_good_dir=None),
        persona_log_seconds=None,
        user_key=Secret("secretstore/user-key"),
    )
    async with agent:
        await until_snapshot(agent, lambda snapshot: bool(snapshot.flags))
        runs = {user: await agent.run("?", user_id=user) for user in ("zoe", "max")}
        await agent.feedback(runs["zoe"].run_id, "up", user_id="zoe")
        resolved = agent.resolve(user_id="zoe")
        expired = agent.status.expired_flags
    return {
        "flags": {user: run.steps[0].flags for user, run in runs.items()},
        "goal": resolved.effective.config.goal,
        "expired": expired,
        "said": caplog.text.count("flag old expired"),
    }


EXPECTED = {
    "flags": {"zoe": ("beta",), "max": ()},
    "goal": "be bold",
    "expired": ("old",),
    "said": 1,
}


@pytest.mark.embedded
async def test_a_listed_user_has_its_flag_on_the_embedded_sidecar(
    on_embedded: None, caplog: pytest.LogCaptureFixture
) -> None:
    assert await listed_flags(caplog) == EXPECTED


@pytest.mark.redis
async def test_a_listed_user_has_its_flag_on_daprd(
    on_daprd: None, caplog: pytest.LogCaptureFixture
) -> None:
    assert await listed_flags(caplog) == EXPECTED
