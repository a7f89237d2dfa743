"""Releases signed with a key that only a sidecar's secret store has, taken by an agent that takes no others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.dapr import DaprBinaries
from dev.embedded import EmbeddedStack
from dev.resources import CHECKOUT, write_atomically
from dev.stack import Stack
from retunable import ConfigSubscription, DurableAgent
from retunable.cli import main
from retunable.config.agent_config import AgentConfig
from tests.integration.agent.conftest import MakeAgent
from tests.integration.agent.waiting import until_snapshot
from tests.unit.config.signers import new_pem

AGENT = "guarded agent"
Retune = Callable[..., Any]


def secret_store(folder: Path) -> None:
    """A component file, and the file of secrets that it names."""
    (folder / "secrets.json").write_text(json.dumps({"release": new_pem()}))
    component = {
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "vault"},
        "spec": {
            "type": "secretstores.local.file",
            "version": "v1",
            "metadata": [{"name": "secretsFile", "value": str(folder / "secrets.json")}],
        },
    }
    write_atomically(folder / "secrets.yaml", yaml.safe_dump(component))


@pytest.fixture(
    params=[
        pytest.param("daprd", marks=pytest.mark.redis),
        pytest.param("embedded", marks=pytest.mark.embedded),
    ]
)
def _sidecar(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A running sidecar with a secret store that is not among the files of this folder."""
    (work := tmp_path / "work").mkdir()
    monkeypatch.chdir(work)
    (source := tmp_path / "source").mkdir()
    if request.param == "embedded":
        secret_store(source)
        stack: Stack | EmbeddedStack = EmbeddedStack(tmp_path)
        stack.sidecar.resources_path = source
    else:
        _needed: DaprBinaries = request.getfixturevalue("dapr_binaries")
        request.getfixturevalue("redis_program")
        for file in (CHECKOUT / "resources").glob("*.yaml"):
            (source / file.name).write_text(file.read_text())
        secret_store(source)
        stack = Stack.redis(tmp_path / "stack", resources=source)
    with stack:
        for name, value in stack.environment.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture
def retune(_sidecar: None, prefix: str, capsys: pytest.CaptureFixture[str]) -> Retune:
    """Run a command about releases beside the agent."""

    async def run(*arguments: str) -> Any:
        code = await asyncio.to_thread(main, (*arguments, "--json"))
        said = json.loads(capsys.readouterr().out)
        assert code == 0, said
        return said

    return run


@pytest.fixture
def make_guarded(make_agent: MakeAgent, prefix: str) -> Callable[[str], DurableAgent]:
    """Make the agent as its program declares it: nothing but releases of one key."""

    def make(key: str) -> DurableAgent:
        subscription = ConfigSubscription(
            prefix=prefix, last_good_dir=None, accept="releases", trust=(key,)
        )
        return make_agent(name=AGENT, role="Of the program", configuration=subscription)

    return make


async def test_what_the_sidecars_key_signs_is_taken_and_nothing_else(
    retune: Retune, make_guarded: Callable[[str], DurableAgent], prefix: str, tmp_path: Path
) -> None:
    key = (await retune("key", "vault/release"))["key"]
    version = AgentConfig(role="Released", model="small", tools=()).to_json()
    write_atomically(Path("version.json"), json.dumps(version))
    signed = ("--signing-key", "vault/release")
    await retune("save", AGENT, "version.json", "-m", "x")
    await retune("activate", AGENT, "1", "-m", "go", "--prefix", prefix, *signed)

    async with make_guarded(key) as agent:
        await until_snapshot(agent, lambda now: now.config.role == "Released")
        there = ("--agent", AGENT, "--prefix", prefix, "--no-wait", *signed)
        await retune("set", "agent_role", "Tuned", *there)
        tuned = await until_snapshot(agent, lambda now: now.config.role == "Tuned")
        await retune("unset", "agent_role", *there)
        await until_snapshot(agent, lambda now: now.config.role == "Released")
        await retune("reset", "--yes", *there)
        back = await until_snapshot(agent, lambda now: now.config.role == "Of the program")
        await retune("set", "agent_role", "By hand", *there[:-2], "--releases", NOBODYS)
        refused = await until_snapshot(agent, lambda now: bool(now.rejected))

    assert (tuned.version, tuned.rejected, back.rejected) == (1, (), ())
    assert (refused.config.role, refused.rejected[0].code) == ("Of the program", "unsigned")


NOBODYS = "sqlite:///unsigned.db"
"""A release store that is told of a write for which nobody named a key."""
