"""Conversations on a real daprd: their order, who holds them, what they are pinned to, forgetting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
import redis

from dev.stack import RedisStack, Stack
from retunable import (
    RunFailed,
    RunForgotten,
    RunState,
    tool,
)
from retunable.agent.conversations import conversations
from retunable.testing import ModelServer, RecordedRequest, answer, tool_calls
from tests.integration.agent.conftest import MakeAgent
from tests.integration.agent.waiting import until_snapshot

pytestmark = pytest.mark.redis

SMALL_PAGE = 5
LONGER_THAN_A_PAGE = 2 * SMALL_PAGE + 3


@pytest.fixture(autouse=True)
def _environment(dapr: RedisStack, app_of: Callable[[Stack], None]) -> None:
    app_of(dapr)


@tool
def place() -> str:
    """Tell where it is."""
    return "under the stone"


def said(request: RecordedRequest) -> list[str]:
    return [m["content"] or "" for m in request.messages if m["role"] != "system"]


async def test_a_conversation_remembers_across_agents_and_restarts(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    model.script(answer("Hello Ann"), tool_calls(("place", {})), answer("There"))
    async with make_agent(tools=[place]) as agent:
        await agent.run("I am Ann", conversation_id="c 1")
        await agent.run("Where?", conversation_id="c 1")
    async with make_agent(name=agent.name) as again:
        await again.run("Who am I?", conversation_id="c 1")
    assert said(model.requests[-1]) == [
        "I am Ann",
        "Hello Ann",
        "Where?",
        "",
        "under the stone",
        "There",
        "Who am I?",
    ]


async def test_what_does_not_fit_the_budget_is_left_out(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    async with make_agent(history_tokens=30) as agent:
        for text in ("long " * 30, "short"):
            await agent.run(text, conversation_id="budget")
        await agent.run("?", conversation_id="budget")
    assert said(model.requests[-1]) == ["short", "I have no script.", "?"]


async def test_a_pinned_conversation_keeps_its_config_with_its_overrides(
    make_agent: MakeAgent, model: ModelServer, dapr: RedisStack, prefix: str
) -> None:
    dapr.set(prefix + "agent_role", "First")
    async with make_agent(pin="conversation") as agent:
        await until_snapshot(agent, lambda snapshot: snapshot.config.role == "First")
        one = await agent.run("1", conversation_id="pinned")
        dapr.set(prefix + "agent_role", "Second")
        await until_snapshot(agent, lambda snapshot: snapshot.config.role == "Second")
        two = await agent.run("2", conversation_id="pinned")
        other = await agent.run("1", conversation_id="pinned otherwise")
    assert [r.system_prompt for r in model.requests] == [
        "You are First.",
        "You are First.",
        "You are Second.",
    ]
    assert one.effective_checksum == two.effective_checksum != other.effective_checksum
    assert two.steps[0].override_keys == ("role",)


async def test_a_pinned_conversation_leaves_a_config_whose_tool_is_gone_and_says_so(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    arguments = {"name": "keeper", "pin": "conversation", "configuration": None}
    async with make_agent(tools=[place], tool_choice="place", **arguments) as agent:
        await agent.run("1", conversation_id="unpins")
    async with make_agent(**arguments) as without:
        two = await without.run("2", conversation_id="unpins")
        three = await without.run("3", conversation_id="unpins")
    assert "no longer allowed: " in (two.steps[0].unpinned or "")
    assert three.steps[0].unpinned is None
    assert two.effective_checksum == three.effective_checksum


async def test_forgetting_erases_what_was_said_and_keeps_the_rest(
    make_agent: MakeAgent, model: ModelServer, dapr: RedisStack
) -> None:
    model.script(tool_calls(("place", {}), text="SECRET-THOUGHT"), answer("SECRET-ANSWER"))
    async with make_agent(tools=[place]) as agent:
        await agent.run(
            "SECRET-QUESTION",
            conversation_id="private",
            run_id="told",
            user_id="SECRET-USER",
            attributes={"plan": "SECRET-PLAN"},
        )
        assert "SECRET" in stored(dapr)
        assert await agent.forget("private") == 1
        explained = await agent.explain("told")
        with pytest.raises(RunForgotten):
            await agent.run("SECRET-QUESTION", conversation_id="private", run_id="told")
    assert "SECRET" not in stored(dapr)
    assert explained.status.state is RunState.FORGOTTEN
    assert (explained.message, explained.user_id, explained.status.text) == (None, None, None)
    assert [step.record.step for step in explained.steps] == [1, 2]
    assert explained.steps[0].config is not None
    assert explained.steps[0].system_prompt == "You are Research Assistant."


async def test_forgetting_stops_the_run_that_goes_on(
    make_agent: MakeAgent, model: ModelServer, dapr: RedisStack
) -> None:
    model.script(answer("HIDDEN-ANSWER", hold=threading.Event()))
    async with make_agent() as agent:
        run = asyncio.create_task(
            agent.run("HIDDEN-QUESTION", conversation_id="stopped too", run_id="cut")
        )
        await asyncio.to_thread(model.wait_for_requests, 1)
        await agent.forget("stopped too")
        with pytest.raises(RunFailed):
            await asyncio.wait_for(run, 5)
        await agent.run("afresh", conversation_id="stopped too")
    assert "HIDDEN" not in stored(dapr)
    assert said(model.requests[-1]) == ["afresh"]


async def test_a_conversation_longer_than_a_page_is_remembered_and_forgotten_whole(
    make_agent: MakeAgent, model: ModelServer, dapr: RedisStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "RUNS_PER_PAGE", SMALL_PAGE)
    async with make_agent() as agent:
        for number in range(LONGER_THAN_A_PAGE):
            await agent.run(f"PAGED-{number}", conversation_id="long")
        last = LONGER_THAN_A_PAGE - 1
        asked = [text for text in said(model.requests[-1]) if text.startswith("PAGED")]
        assert asked[-3:] == [f"PAGED-{number}" for number in (last - 2, last - 1, last)]
        assert await agent.forget("long") == LONGER_THAN_A_PAGE
    assert "PAGED" not in stored(dapr)


def stored(dapr: RedisStack) -> str:
    """Everything in Redis, as one text."""
    with redis.Redis.from_url(dapr.store.url) as client:
        kinds = {key: client.type(key) for key in client.keys("*")}
        hashes = [client.hgetall(key) for key, kind in kinds.items() if kind == b"hash"]
        texts = [client.get(key) for key, kind in kinds.items() if kind == b"string"]
    return repr((hashes, texts))
