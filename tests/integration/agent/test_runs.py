"""Runs on a real daprd: what the model is told, what comes back, what a change does."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dev.stack import RedisStack, Stack
from retunable import (
    AgentStatus,
    ConfigSubscription,
    ConfigurationError,
    Constraints,
    DurableAgent,
    RunFailed,
    RunTimeout,
    Snapshot,
    tool,
)
from retunable.testing import (
    ModelServer,
    RecordedRequest,
    Reply,
    answer,
    refusal,
    tool_calls,
)
from tests.integration.agent.conftest import MakeAgent
from tests.integration.agent.waiting import until_snapshot

pytestmark = pytest.mark.redis

TEMPLATES = "{{7*7}} {name} {% if x %} %s"


@pytest.fixture(autouse=True)
def _environment(dapr: RedisStack, app_of: Callable[[Stack], None]) -> None:
    app_of(dapr)


@tool
def add(first: int, second: int) -> int:
    """Add two numbers."""
    return first + second


async def test_the_model_is_told_the_persona_and_the_message(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    async with make_agent(goal="Find out", instructions=["Look twice"]) as agent:
        await agent.run("What is it?")
    (request,) = model.requests
    assert request.system_prompt == (
        "You are Research Assistant.\n\nYour goal: Find out.\n\nInstructions:\n- Look twice"
    )
    assert request.messages[-1] == {"role": "user", "content": "What is it?"}
    assert request.headers["authorization"] == "Bearer sk-of-the-test"


async def test_settings_of_the_config_are_in_the_request(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    async with make_agent(temperature=0.25, max_tokens=99, tools=[add]) as agent:
        await agent.run("?")
    body = model.requests[0].body
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("small", 0.25, 99)
    assert model.requests[0].tool_names == ("add",)


async def test_an_answer_names_the_configuration_that_gave_it(make_agent: MakeAgent) -> None:
    async with make_agent() as agent:
        result = await agent.run("?", run_id="named-run")
        snapshot = agent.snapshot
    (step,) = result.steps
    assert (result.run_id, result.stop_reason) == ("named-run", "answer")
    assert result.effective_checksum == step.effective_checksum == snapshot.checksum
    assert (step.revision, step.model, result.tokens) == (snapshot.revision, "test-model", 12)


async def test_a_store_write_retunes_the_next_run(
    make_agent: MakeAgent, model: ModelServer, dapr: RedisStack, prefix: str
) -> None:
    async with make_agent() as agent:
        await agent.run("?")
        dapr.set(prefix + "agent_role", TEMPLATES)
        await until_snapshot(agent, lambda snapshot: snapshot.config.role == TEMPLATES)
        await agent.run("?")
    told = [request.system_prompt for request in model.requests]
    assert told == ["You are Research Assistant.", f"You are {TEMPLATES}."]


async def test_tools_of_one_step_run_at_once_on_the_loop_of_the_agent(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    both = asyncio.Barrier(2)

    @tool
    async def meet() -> str:
        """Wait for the other one."""
        loops.append(asyncio.get_running_loop())
        async with asyncio.timeout(10):
            await both.wait()
        return "met"

    model.script(tool_calls(("meet", {}), ("meet", {})), answer("done"))
    async with make_agent(tools=[meet]) as agent:
        result = await agent.run("?")
    assert result.text == "done"
    assert [message["content"] for message in model.requests[1].messages[-2:]] == ["met", "met"]
    assert loops == [asyncio.get_running_loop()] * 2


async def test_results_go_back_to_the_model_in_the_order_of_the_calls(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    model.script(
        tool_calls(("add", {"first": 1, "second": 2}), ("add", {"first": "x"}), ("sub", {})),
        answer("done"),
    )
    async with make_agent(tools=[add]) as agent:
        await agent.run("?")
    results = {m["tool_call_id"]: m["content"] for m in model.requests[1].messages[-3:]}
    assert results["call_0"] == "3"
    assert "valid integer" in results["call_1"]
    assert results["call_2"] == "There is no tool 'sub' here; the tools are: add."


async def test_a_tool_that_the_config_does_not_allow_is_neither_offered_nor_run(
    make_agent: MakeAgent, model: ModelServer, dapr: RedisStack, prefix: str
) -> None:
    ran = threading.Event()

    @tool
    def forbidden() -> None:
        """Do harm."""
        ran.set()

    dapr.set(prefix + "tools", '["add"]')
    model.script(tool_calls(("forbidden", {})), answer("done"))
    async with make_agent(tools=[add, forbidden]) as agent:
        await agent.run("?")
    assert model.requests[0].tool_names == ("add",)
    assert "no tool 'forbidden'" in model.requests[1].messages[-1]["content"]
    assert not ran.is_set()


@pytest.mark.parametrize(("pin", "calls"), [("call", 6), ("turn", 10)])
async def test_a_limit_lowered_in_flight(
    make_agent: MakeAgent,
    model: ModelServer,
    dapr: RedisStack,
    prefix: str,
    pin: str,
    calls: int,
) -> None:
    sixth = threading.Event()
    asked = tool_calls(("add", {"first": 1, "second": 1}))

    def at_the_sixth(request: RecordedRequest) -> Reply:
        assert sixth.wait(20)
        return asked

    model.script(*[asked] * 5, at_the_sixth)
    model.answer_always(asked)
    async with make_agent(tools=[add], max_iterations=10, pin=pin) as agent:
        run = asyncio.create_task(agent.run("?"))
        await asyncio.to_thread(model.wait_for_requests, 6)
        dapr.set(prefix + "max_iterations", "2")
        await until_snapshot(agent, lambda snapshot: snapshot.config.max_iterations == 2)
        sixth.set()
        result = await run
    assert (result.stop_reason, len(result.steps)) == ("max_iterations", calls)
    assert len(model.requests) == calls


async def test_a_pinned_tool_that_is_still_allowed_stays_through_a_change(
    make_agent: MakeAgent, model: ModelServer, dapr: RedisStack, prefix: str
) -> None:
    hold = threading.Event()

    def held(request: RecordedRequest) -> Reply:
        assert hold.wait(20)
        return tool_calls(("add", {"first": 2, "second": 2}))

    model.script(held, answer("four"))
    async with make_agent(tools=[add]) as agent:
        run = asyncio.create_task(agent.run("?"))
        await asyncio.to_thread(model.wait_for_requests, 1)
        dapr.set(prefix + "agent_role", "Other")
        changed = await until_snapshot(agent, lambda snapshot: snapshot.config.role == "Other")
        hold.set()
        result = await run
    first, second = result.steps
    assert first.effective_checksum == second.effective_checksum != changed.checksum
    assert "Research Assistant" in model.requests[1].system_prompt


async def test_a_refused_key_fails_the_run_and_shows_until_a_call_works_again(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    model.script(refusal(401, message="Incorrect API key"))
    async with make_agent() as agent:
        with pytest.raises(RunFailed, match="the environment variable OPENAI_API_KEY") as failed:
            await agent.run("?")
        refused = agent.status
        await agent.run("?")
        mended = agent.status
    assert refused.provider_refusal == failed.value.reason
    assert mended.provider_refusal is None
    assert "sk-of-the-test" not in failed.value.reason


async def test_a_refused_model_is_named_with_the_key_that_set_it(
    make_agent: MakeAgent, model: ModelServer, dapr: RedisStack, prefix: str
) -> None:
    dapr.set(prefix + "llm_model", "huge")
    model.script(refusal(404, code="model_not_found", message="no such model"))
    async with make_agent() as agent:
        with pytest.raises(RunFailed, match=f"llm_model is 'huge' from the store's key {prefix}"):
            await agent.run("?")
        told: asyncio.Queue[str | None] = asyncio.Queue()

        async def note(old: object, new: AgentStatus) -> None:
            told.put_nowait(new.provider_refusal)

        agent.on_status(note)
        dapr.set(prefix + "llm_model", "small")
        async with asyncio.timeout(10):
            while await told.get() is not None:
                pass


async def test_a_run_outlives_the_deadline_of_its_caller(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    hold = threading.Event()
    model.script(answer("late", hold=hold))
    async with make_agent() as agent:
        with pytest.raises(RunTimeout) as late:
            await agent.run("?", deadline=0.5)
        assert late.value.run_id
        hold.set()
        assert (await agent.run("still alive?")).text == "I have no script."


async def test_a_stop_does_not_wait_for_a_tool_that_hangs(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    hangs, never = threading.Event(), threading.Event()

    @tool
    def hang() -> None:
        """Never come back."""
        hangs.set()
        never.wait(60)

    model.script(tool_calls(("hang", {})))
    agent = make_agent(tools=[hang])
    await agent.start()
    run = asyncio.create_task(agent.run("?"))
    assert await asyncio.to_thread(hangs.wait, 20)
    async with asyncio.timeout(5):
        await agent.stop()
    with pytest.raises(RunTimeout, match="goes on"):
        await run
    never.set()


async def test_two_agents_of_one_process_answer_as_themselves(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    own = ConfigSubscription(prefix="second/", last_good_dir=None)
    async with (
        make_agent(role="First") as first,
        make_agent(role="Second", configuration=own) as second,
    ):
        await asyncio.gather(first.run("1"), second.run("2"))
    told = {request.messages[-1]["content"]: request.system_prompt for request in model.requests}
    assert told == {"1": "You are First.", "2": "You are Second."}


async def test_two_agents_of_one_name_are_refused(make_agent: MakeAgent) -> None:
    async with make_agent(name="twin"):
        with pytest.raises(ConfigurationError, match="give one of them another name"):
            await make_agent(name="twin").start()


async def test_an_agent_can_be_started_again(make_agent: MakeAgent) -> None:
    agent = make_agent()
    for _ in range(2):
        async with agent:
            assert (await agent.run("?")).stop_reason == "answer"


async def test_an_agent_without_a_store_runs_on_its_code_defaults(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    async with make_agent(configuration=None, constraints=Constraints(models={"small"})) as agent:
        await agent.run("?")
        assert agent.status.stream is None
    assert model.requests[0].system_prompt == "You are Research Assistant."


async def test_nothing_has_to_be_held_for_an_agent_to_stay_alive(
    dapr: RedisStack, prefix: str
) -> None:
    applied: asyncio.Queue[str | None] = asyncio.Queue()

    async def note(old: object, new: Snapshot) -> None:
        applied.put_nowait(new.config.role)

    async def start_and_forget() -> Callable[[], Any]:
        subscription = ConfigSubscription(prefix=prefix, last_good_dir=None)
        agent = DurableAgent(
            "forgotten", model="offline", provider="offline", configuration=subscription
        )
        agent.on_change(note)
        await agent.start()
        return agent.stop

    stop = await start_and_forget()
    gc.collect()
    dapr.set(prefix + "agent_role", "Seen")
    async with asyncio.timeout(10):
        while await applied.get() != "Seen":
            pass
    await stop()


async def test_the_log_shows_who_the_agent_is(
    make_agent: MakeAgent, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "retunable")
    async with make_agent(goal="Find\nout", persona_log_seconds=10):
        await asyncio.sleep(0)
    assert "Current Persona: [Research Assistant] - Find out" in caplog.messages


async def test_a_guardrail_set_in_the_store_sends_an_answer_back_to_the_model(
    make_agent: MakeAgent, model: ModelServer, dapr: RedisStack, prefix: str
) -> None:
    model.script(answer("buy ACME now"), answer("I cannot say"))
    async with make_agent() as agent:
        dapr.set(prefix + "guardrails", '{"blocked_terms": {"terms": ["acme"]}}')
        await until_snapshot(agent, lambda snapshot: bool(snapshot.config.guardrails))
        result = await agent.run("?")
    assert (result.text, len(result.steps)) == ("I cannot say", 2)
    assert "blocked_terms" in model.requests[1].messages[-1]["content"]


async def test_an_explanation_has_each_verdict_and_forgetting_takes_its_reason(
    make_agent: MakeAgent, model: ModelServer, dapr: RedisStack, prefix: str
) -> None:
    model.script(answer("buy ACME now"), answer("I cannot say"))
    async with make_agent() as agent:
        dapr.set(prefix + "guardrails", '{"blocked_terms": {"terms": ["acme"]}}')
        await until_snapshot(agent, lambda snapshot: bool(snapshot.config.guardrails))
        result = await agent.run("?", conversation_id="judged")
        told = await agent.explain(result.run_id)
        await agent.forget("judged")
        forgotten = await agent.explain(result.run_id)
    (refused,), (passed,) = (step.checks for step in told.steps)
    assert (refused.name, refused.call, refused.passed, passed.passed) == (
        "blocked_terms",
        None,
        False,
        True,
    )
    assert "acme" in refused.reason
    assert forgotten.steps[0].checks == (replace(refused, reason=""),)


async def test_an_answer_that_the_state_store_does_not_take_fails_the_run(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    model.script(answer("x" * 5_000_000))
    async with make_agent() as agent:
        with pytest.raises(RunFailed, match="larger than the state store takes"):
            await agent.run("?")
