"""A stack for a whole module, a model server for each test, and agents between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dev.dapr import DaprBinaries
from dev.stack import RedisStack, Stack
from retunable import ConfigSubscription, DurableAgent, OpenAIProvider
from retunable.agent.loop.workflow_client import Progress, WorkflowClient
from retunable.agent.sidecar_link import SidecarLink
from retunable.agent.state.keys import StateKeys
from retunable.testing import ModelServer

MakeAgent = Callable[..., DurableAgent]

_numbers = count(1)


@pytest.fixture(scope="module")
def dapr(
    tmp_path_factory: pytest.TempPathFactory, dapr_binaries: DaprBinaries, redis_program: Path
) -> Iterator[RedisStack]:
    """Dapr and Redis for every test of a module; each test has a key prefix of its own."""
    with Stack.redis(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """A model server without a script."""
    with ModelServer() as server:
        yield server


@pytest.fixture
def prefix() -> str:
    """A key prefix that no other test has."""
    return f"t{next(_numbers)}/"


@pytest.fixture
def make_agent(model: ModelServer, prefix: str, monkeypatch: pytest.MonkeyPatch) -> MakeAgent:
    """Make agents of the model server, subscribed under the test's prefix unless told otherwise."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-test")

    def make(**arguments: Any) -> DurableAgent:
        subscription = ConfigSubscription(prefix=prefix, last_good_dir=None)
        defaults: dict[str, Any] = {
            "name": f"agent {next(_numbers)}",
            "role": "Research Assistant",
            "model": "small",
            "providers": {"openai": OpenAIProvider(base_url=model.url)},
            "configuration": subscription,
            "persona_log_seconds": None,
        }
        return DurableAgent(**defaults | arguments)

    return make


@pytest.fixture
def app_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Stack], None]:
    """Give this process the environment that `dapr run` gives to an app."""

    def take(stack: Stack) -> None:
        for name, value in stack.environment.items():
            monkeypatch.setenv(name, value)

    return take


async def purge(agent: DurableAgent, run_id: str) -> None:
    """Purge a workflow's history once it is over, as an operator would."""
    link = SidecarLink()
    try:
        workflows = WorkflowClient(link, StateKeys(agent.name, agent.declaration.environment))
        await workflows.wait(run_id, seconds=5)
        await workflows.purge(run_id)
        assert (await workflows.look(run_id)).progress is Progress.ABSENT
    finally:
        await link.close()
