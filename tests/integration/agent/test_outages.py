"""Runs while the sidecar is killed, absent or gone for good."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from dev.ports import free_port
from dev.resources import write_atomically
from dev.stack import RedisStack, Stack
from retunable import (
    ConfigurationError,
    DurableAgent,
    NotReady,
    OpenAIProvider,
    RunResult,
    Secret,
    Unavailable,
)
from retunable.testing import ModelServer
from tests.integration.agent.conftest import MakeAgent

REFUSED_SECONDS = 5.0
"""A second, on a machine that is busy; a run that waits for its sidecar does so for minutes."""

SECRET_STORE = """\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: secretstore}
spec:
  type: secretstores.local.file
  version: v1
  metadata:
    - {name: secretsFile, value: "%s"}
"""


async def test_a_sidecar_that_went_away_refuses_runs_at_once_and_takes_them_again(
    redis_stack: RedisStack, app_of: Callable[[Stack], None], make_agent: MakeAgent
) -> None:
    app_of(redis_stack)
    async with make_agent() as agent:
        await agent.run("?")
        redis_stack.sidecar.kill()
        began = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            await agent.run("?")
        assert time.monotonic() - began < REFUSED_SECONDS
        assert refused.value.part == "sidecar"
        assert agent.snapshot.config.role == "Research Assistant"
        await asyncio.to_thread(redis_stack.sidecar.start)
        async with asyncio.timeout(30):
            assert (await _accepted(agent)).stop_reason == "answer"


async def _accepted(agent: DurableAgent) -> RunResult:
    while True:
        try:
            return await agent.run("?")
        except Unavailable:
            await asyncio.sleep(0.1)


async def test_a_stop_needs_no_sidecar(
    redis_stack: RedisStack, app_of: Callable[[Stack], None], make_agent: MakeAgent
) -> None:
    app_of(redis_stack)
    agent = make_agent()
    await agent.start()
    await agent.run("?")
    redis_stack.sidecar.kill()
    began = time.monotonic()
    await agent.stop()
    assert time.monotonic() - began < 3


async def test_a_stop_does_not_wait_for_a_sidecar_that_hangs(
    redis_stack: RedisStack, app_of: Callable[[Stack], None], make_agent: MakeAgent
) -> None:
    app_of(redis_stack)
    agent = make_agent()
    await agent.start()
    await agent.run("?")
    redis_stack.sidecar.pause()
    began = time.monotonic()
    await agent.stop()
    assert time.monotonic() - began < 5
    redis_stack.sidecar.resume()


async def test_without_placement_a_run_is_refused_by_that_name(
    redis_stack: RedisStack, app_of: Callable[[Stack], None], make_agent: MakeAgent
) -> None:
    app_of(redis_stack)
    async with make_agent() as agent:
        await agent.run("?")
        redis_stack.control_plane.placement.kill()
        with pytest.raises(Unavailable) as refused:
            await agent.run("?", deadline=1)
        assert refused.value.part == "placement"


async def test_without_any_sidecar_a_run_is_refused_at_once(
    make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAPR_GRPC_PORT", str(free_port()))
    async with make_agent(configuration=None) as agent:
        began = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            await agent.run("?")
        assert time.monotonic() - began < REFUSED_SECONDS
        assert refused.value.part == "sidecar"


async def test_an_agent_that_is_not_started_runs_nothing(make_agent: MakeAgent) -> None:
    with pytest.raises(NotReady, match="async with agent"):
        await make_agent().run("?")


async def test_the_key_can_come_from_a_secret_store(
    redis_stack: RedisStack,
    app_of: Callable[[Stack], None],
    make_agent: MakeAgent,
    model: ModelServer,
) -> None:
    app_of(redis_stack)
    secrets = redis_stack.resources.parent / "secrets.json"
    secrets.write_text('{"openai-key": "sk-from-the-store"}')
    write_atomically(redis_stack.resources / "secretstore.yaml", SECRET_STORE % secrets)
    await asyncio.to_thread(redis_stack.sidecar.wait_for_component, "secretstore")
    secret = OpenAIProvider(base_url=model.url, api_key=Secret("secretstore/openai-key"))
    async with make_agent(providers={"openai": secret}) as agent:
        await agent.run("?")
    assert model.requests[0].headers["authorization"] == "Bearer sk-from-the-store"
    missing = OpenAIProvider(base_url=model.url, api_key=Secret("secretstore/other"))
    with pytest.raises(ConfigurationError, match="the secret secretstore/other"):
        await make_agent(providers={"openai": missing}).start()
