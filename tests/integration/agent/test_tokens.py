"""A sidecar that asks for a token which the program does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.dapr import Sidecar
from dev.stack import RedisStack
from retunable.errors import ConfigurationError, Unavailable
from tests.integration.agent.conftest import MakeAgent

PROMPT_SECONDS = 20.0
"""A third of the time for which a start waits for its sidecar, which refuses within milliseconds."""


@pytest.fixture
def guarded(
    dapr: RedisStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """Be the app of a daprd that wants a token; yield what changes this process's environment."""
    sidecar = Sidecar(
        tmp_path / "daprd",
        app_id="guarded",
        resources_path=dapr.resources,
        control_plane=dapr.control_plane,
        environment={"DAPR_API_TOKEN": "right"},
    )
    with sidecar:
        for name, value in sidecar.environment.items():
            monkeypatch.setenv(name, value)
        yield monkeypatch


@pytest.mark.parametrize(
    ("token", "said"), [("wrong", "is not the one that it asks for"), (None, "is not set")]
)
async def test_a_start_without_the_right_token_ends_at_once_and_names_it(
    guarded: pytest.MonkeyPatch, make_agent: MakeAgent, token: str | None, said: str
) -> None:
    if token is not None:
        guarded.setenv("DAPR_API_TOKEN", token)
    with pytest.raises(ConfigurationError, match=f"DAPR_API_TOKEN {said}"):
        async with asyncio.timeout(PROMPT_SECONDS):
            await make_agent().start()


async def test_a_run_of_an_agent_without_a_store_names_the_token_too(
    guarded: pytest.MonkeyPatch, make_agent: MakeAgent
) -> None:
    guarded.setenv("DAPR_API_TOKEN", "wrong")
    async with make_agent(configuration=None) as agent:
        with pytest.raises(Unavailable, match="DAPR_API_TOKEN is not the one"):
            await agent.run("hello")
