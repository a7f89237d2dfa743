"""Messages on a topic: what becomes a run, what is answered, what the broker is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from retunable.agent.runs.records import RunResult
from retunable.errors import (
    ConversationBusy,
    RunFailed,
    RunIdConflict,
    RunTimeout,
    Unavailable,
)
from retunable.serve.topic_requests import Event, Outcome, TopicRequests
from tests.unit.serve.standin import Asked, StandInAgent, an_answer


class Answers:
    """Keeps what is published; ``away`` keeps it from being taken."""

    def __init__(self) -> None:
        self.published: list[tuple[dict[str, Any], Mapping[str, str]]] = []
        self.away = False
        self.came = asyncio.Event()

    async def publish(self, data: bytes, *, metadata: Mapping[str, str]) -> None:
        if self.away:
            raise Unavailable("no broker", part="component")
        self.published.append((json.loads(data), metadata))
        self.came.set()

    @property
    def only(self) -> dict[str, Any]:
        ((answer, _),) = self.published
        return answer


def an_event(data: Any = None, **changes: Any) -> Event:
    event = Event(
        id="e-1",
        source="shop",
        data=json.dumps({"message": "hello"} if data is None else data).encode(),
        content_type="application/json",
        metadata={},
    )
    return replace(event, **changes)


def failing(error: Exception, *, times: int | None = None) -> StandInAgent:
    """Return an agent that raises, for ever or so many times."""

    def answer(asked: Asked) -> RunResult:
        if times is None or len(agent.asked) <= times:
            raise error
        return an_answer(asked)

    agent = StandInAgent(answer=answer)
    return agent


async def test_a_message_becomes_a_run_and_its_answer_carries_the_runs_id() -> None:
    agent, answers = StandInAgent(), Answers()
    data = {"message": "hello", "conversation_id": "c"}
    assert await TopicRequests(agent, answers).handle(an_event(data)) is Outcome.SUCCESS
    (asked,) = agent.asked
    assert (asked.message, asked.conversation_id) == ("hello", "c")
    ((answer, metadata),) = answers.published
    assert metadata == {"cloudevent.id": asked.run_id, "cloudevent.type": "retunable.run.answered"}
    assert answer["request"] == {"id": "e-1", "source": "shop"}
    assert (answer["run_id"], answer["conversation_id"]) == (asked.run_id, "c")
    assert answer["answer"]["text"] == "about hello"


async def test_the_same_event_is_the_same_run_and_an_id_of_another_source_is_not() -> None:
    agent = StandInAgent()
    requests = TopicRequests(agent, Answers())
    for event in (an_event(), an_event(), an_event(source="desk")):
        await requests.handle(event)
    first, second, other = (asked.run_id for asked in agent.asked)
    assert first == second == "event-d57a8d4d470330f7468d19c4e52cd9d5"
    assert other != first


async def test_plain_text_is_a_message() -> None:
    agent = StandInAgent()
    event = an_event(data=None, content_type="text/plain; charset=utf-8")
    await TopicRequests(agent, Answers()).handle(replace(event, data="grüß".encode()))
    assert agent.asked[0].message == "grüß"


async def test_user_and_attributes_come_from_the_metadata() -> None:
    agent = StandInAgent()
    metadata = {"retunable-user": ["zoe"], "retunable-attributes": ['{"plan": "pro"}']}
    await TopicRequests(agent, Answers()).handle(an_event(metadata=metadata))
    (asked,) = agent.asked
    assert (asked.user_id, asked.attributes) == ("zoe", {"plan": "pro"})


@pytest.mark.parametrize(
    "event",
    [
        an_event({"message": ""}),
        an_event({"message": "m", "user_id": "zoe"}),
        an_event({"message": "m", "run_id": "mine"}),
        an_event("hello"),
        replace(an_event(), data=b"{"),
        an_event(metadata={"retunable-attributes": ["[]"]}),
        an_event(metadata={"retunable-user": ["zoe", "max"]}),
    ],
)
async def test_what_is_no_request_is_answered_with_the_problem_and_dropped(event: Event) -> None:
    agent, answers = StandInAgent(), Answers()
    assert await TopicRequests(agent, answers).handle(event) is Outcome.DROP
    assert agent.asked == []
    assert answers.only["problem"]["status"] == 422


async def test_a_message_for_another_agent_is_let_go_without_an_answer() -> None:
    agent, answers = StandInAgent(), Answers()
    event = an_event({"message": "m", "agent": "somebody-else"})
    assert await TopicRequests(agent, answers).handle(event) is Outcome.SUCCESS
    assert (agent.asked, answers.published) == ([], [])


@pytest.mark.parametrize(
    ("error", "outcome", "status"),
    [
        (RunFailed("no", run_id="r", reason="guard"), Outcome.SUCCESS, 502),
        (RunIdConflict("r"), Outcome.DROP, 409),
    ],
)
async def test_a_run_without_an_answer_is_answered_with_the_reason(
    error: Exception, outcome: Outcome, status: int
) -> None:
    answers = Answers()
    assert await TopicRequests(failing(error), answers).handle(an_event()) is outcome
    assert answers.only["problem"]["status"] == status


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("gone", part="state store"),
        RunTimeout("the agent was stopped", run_id="r"),
        ConversationBusy("c", holder="r-0"),
    ],
)
async def test_what_may_work_later_comes_again_and_is_not_answered_now(error: Exception) -> None:
    answers = Answers()
    requests = TopicRequests(failing(error), answers, hold_seconds=0)
    assert await requests.handle(an_event()) is Outcome.RETRY
    assert answers.published == []


@pytest.mark.parametrize(
    "error", [ConversationBusy("c", holder="r-0"), Unavailable("gone", part="sidecar")]
)
async def test_a_message_is_held_for_a_while(error: Exception) -> None:
    agent, answers = failing(error, times=1), Answers()
    assert await TopicRequests(agent, answers).handle(an_event()) is Outcome.SUCCESS
    assert len(agent.asked) == 2
    assert "answer" in answers.only


async def test_an_answer_that_cannot_be_published_is_asked_for_again() -> None:
    agent, answers = StandInAgent(), Answers()
    requests = TopicRequests(agent, answers, hold_seconds=0)
    answers.away = True
    assert await requests.handle(an_event()) is Outcome.RETRY
    answers.away = False
    assert await requests.handle(an_event()) is Outcome.SUCCESS
    assert answers.only["run_id"] == agent.asked[0].run_id == agent.asked[1].run_id


class Slow(StandInAgent):
    """Answers when it is told to."""

    def hold(self) -> None:
        self.started, self.go = asyncio.Event(), asyncio.Event()

    async def run(self, *words: Any, **more: Any) -> RunResult:
        self.started.set()
        await self.go.wait()
        return await super().run(*words, **more)


async def test_a_message_that_comes_again_meanwhile_is_answered_once() -> None:
    agent, answers = Slow(), Answers()
    agent.hold()
    requests = TopicRequests(agent, answers)
    first = asyncio.create_task(requests.handle(an_event()))
    await agent.started.wait()
    again = asyncio.create_task(requests.handle(an_event()))
    await asyncio.wait([again], timeout=0)
    assert not again.done()  # nothing is acknowledged before its answer is published
    agent.go.set()
    assert {await first, await again} == {Outcome.SUCCESS}
    assert (len(agent.asked), len(answers.published)) == (1, 1)


async def test_a_run_is_answered_though_its_delivery_was_cut_off() -> None:
    agent, answers = Slow(), Answers()
    agent.hold()
    requests = TopicRequests(agent, answers)
    first = asyncio.create_task(requests.handle(an_event()))
    await agent.started.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    agent.go.set()
    await answers.came.wait()
    assert answers.only["answer"]["text"] == "about hello"


async def test_what_is_handled_at_the_end_is_let_go() -> None:
    agent, answers = Slow(), Answers()
    agent.hold()
    requests = TopicRequests(agent, answers)
    first = asyncio.create_task(requests.handle(an_event()))
    await agent.started.wait()
    await requests.close()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert answers.published == []
