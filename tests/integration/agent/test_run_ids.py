"""What a run id means, and what is kept of a run, on a real daprd."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from dev.stack import RedisStack, Stack
from retunable import (
    RunFailed,
    RunState,
    RunUnknown,
    tool,
)
from retunable.testing import ModelServer, answer, refusal, tool_calls
from tests.integration.agent.conftest import MakeAgent, purge

pytestmark = pytest.mark.redis


@pytest.fixture(autouse=True)
def _environment(dapr: RedisStack, app_of: Callable[[Stack], None]) -> None:
    app_of(dapr)


@tool
def add(first: int, second: int) -> int:
    """Add two numbers."""
    return first + second


async def test_an_answer_outlives_its_workflow_history(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    model.script(tool_calls(("add", {"first": 1, "second": 2})), answer("3, I think"))
    async with make_agent(tools=[add], instructions=["Add up"]) as agent:
        result = await agent.run("1 + 2?", run_id="purged", user_id="ann")
        config, prompt = agent.snapshot.config, model.requests[0].system_prompt
        name = agent.name
        await purge(agent, "purged")
    async with make_agent(name=name) as agent:
        assert (await agent.run("1 + 2?", run_id="purged", user_id="ann")) == result
        explained = await agent.explain("purged")
    first, last = explained.steps
    assert (explained.message, explained.user_id) == ("1 + 2?", "ann")
    assert (first.config, first.system_prompt) == (config.to_json(), prompt)
    assert first.tools is not None
    assert [tool["name"] for tool in first.tools] == ["add"]
    assert [(c.name, c.result, c.ok) for c in first.calls] == [("add", "3", True)]
    assert first.calls[0].call_id == "purged.1.0"
    assert (last.text, last.record.model) == ("3, I think", "test-model")
    assert len(model.requests) == 2


async def test_a_failed_run_keeps_its_reason(make_agent: MakeAgent, model: ModelServer) -> None:
    model.script(refusal(404, message="no such model"))
    async with make_agent() as agent:
        for _ in range(2):
            with pytest.raises(RunFailed, match="llm_model is 'small'"):
                await agent.run("?", run_id="failing")
        status = await agent.run_state("failing")
    assert (status.state, len(model.requests)) == (RunState.FAILED, 1)


async def test_begin_returns_while_the_run_goes_on_and_follow_sees_its_steps(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    hold = threading.Event()
    model.script(
        tool_calls(("add", {"first": 1, "second": 2}), text="Let me see"), answer("3", hold=hold)
    )
    async with make_agent(tools=[add]) as agent:
        begun = await agent.begin("?", run_id="begun")
        steps = []
        async with asyncio.timeout(10):
            async for step in agent.follow("begun"):
                steps.append((step.record.step, step.text, [c.result for c in step.calls]))
                if step.calls and step.calls[0].result:
                    hold.set()
        ended = await agent.run_state("begun")
    assert begun.state is RunState.RUNNING
    assert steps[-2:] == [(1, "Let me see", ["3"]), (2, "3", [])]
    assert (ended.state, ended.text, ended.steps) == (RunState.FINISHED, "3", 2)


async def test_a_stopped_run_has_no_answer_and_is_not_run_again(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    model.script(answer("late", hold=threading.Event()))
    async with make_agent() as agent:
        run = asyncio.create_task(agent.run("?", run_id="stopped"))
        await asyncio.to_thread(model.wait_for_requests, 1)
        assert (await agent.stop_run("stopped")).state is RunState.STOPPED
        with pytest.raises(RunFailed, match="stopped"):
            await asyncio.wait_for(run, 5)
        with pytest.raises(RunFailed, match="stopped"):
            await agent.run("?", run_id="stopped")
    assert len(model.requests) == 1


async def test_the_latest_runs_are_listed_newest_first(make_agent: MakeAgent) -> None:
    async with make_agent() as agent:
        for number in range(4):
            await agent.run("?", run_id=f"listed {number}")
        listed = await agent.runs(limit=3)
    assert [run.run_id for run in listed] == ["listed 3", "listed 2", "listed 1"]
    async with make_agent(name=agent.name) as again:
        assert [run.run_id for run in await again.runs()][-1] == "listed 0"


async def test_an_unknown_run_is_said_to_be_unknown(make_agent: MakeAgent) -> None:
    async with make_agent() as agent:
        for ask in (agent.explain, agent.run_state, agent.stop_run):
            with pytest.raises(RunUnknown):
                await ask("nobody's")


async def test_a_run_longer_than_one_history_goes_on_in_the_next(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    asks = [tool_calls(("add", {"first": n, "second": 0})) for n in range(23)]
    model.script(*asks, answer("done"))
    async with make_agent(tools=[add], max_iterations=50) as agent:
        result = await agent.run("?")
    assert (result.text, len(result.steps)) == ("done", 24)
    told = [m["content"] for m in model.requests[-1].messages if m["role"] == "tool"]
    assert told == [str(number) for number in range(23)]


async def test_what_is_recorded_of_a_step(make_agent: MakeAgent) -> None:
    async with make_agent() as agent:
        step = (await agent.run("?")).steps[0]
    assert step.package
    assert step.replica
    assert step.started_at <= step.ended_at
