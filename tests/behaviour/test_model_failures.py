"""A model server that fails in every way: retried or failed with the reason, and nothing hangs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from retunable.testing import answer, garbage, refusal, tool_calls
from tests.behaviour.agent_settings import AgentSettings

if TYPE_CHECKING:
    from retunable.testing import Reply
    from tests.behaviour.agent_process import AgentProcess
    from tests.behaviour.lab import Lab

LIMIT = 4
TRIES = 2
TIMEOUT_SECONDS = 3.0
FAILED_SECONDS = 20.0
NEVER_SECONDS = 3600.0

FAILURES = {
    "429": refusal(429),
    "500": refusal(500),
    "no answer in time": answer("too late", delay_seconds=NEVER_SECONDS),
    "a page instead of JSON": garbage(),
    "another JSON": garbage(b"{}"),
}
PASSING = ["429", "500"]


@pytest.fixture(scope="module")
def standing_settings() -> AgentSettings:
    return AgentSettings(
        max_iterations=LIMIT, model_timeout_seconds=TIMEOUT_SECONDS, model_tries=TRIES
    )


@pytest.mark.parametrize("failure", PASSING)
def test_what_may_pass_is_tried_again(
    standing_lab: Lab, standing_agent: AgentProcess, failure: str
) -> None:
    standing_lab.model.script(FAILURES[failure], answer("at last"))
    run = standing_agent.answer(f"try again after {failure}")
    assert (run["text"], len(run["steps"])) == ("at last", 1)
    assert len(standing_lab.asked(f"try again after {failure}")) == TRIES


@pytest.mark.parametrize("failure", FAILURES)
def test_what_stays_fails_the_run_with_the_reason(
    standing_lab: Lab, standing_agent: AgentProcess, failure: str
) -> None:
    standing_lab.model.answer_always(FAILURES[failure])
    began = time.monotonic()
    response = standing_agent.run(f"fail with {failure}")
    assert time.monotonic() - began < FAILED_SECONDS
    assert len(standing_lab.asked(f"fail with {failure}")) in (1, TRIES)
    assert response.status_code == 502
    assert "provider 'openai' failed" in response.json()["reason"]
    standing_lab.model.answer_always(answer("well again"))
    assert standing_agent.answer("well?")["text"] == "well again"


def test_endless_tool_calls_end_at_the_limit(
    standing_lab: Lab, standing_agent: AgentProcess
) -> None:
    standing_lab.model.script(*_endless())
    run = standing_agent.answer("call tools for ever")
    assert (run["stop_reason"], run["text"]) == ("max_iterations", "so far nothing")
    assert len(run["steps"]) == len(standing_lab.asked("call tools for ever")) == LIMIT


def test_an_answer_of_two_megabytes_is_kept_whole(
    standing_lab: Lab, standing_agent: AgentProcess
) -> None:
    standing_lab.model.script(answer("x" * 2_000_000))
    for _ in range(2):
        run = standing_agent.answer("say much", run_id="large")
        assert run["text"] == "x" * 2_000_000
    assert len(standing_lab.asked("say much")) == 1


def _endless() -> list[Reply]:
    return [tool_calls(("note", {"text": "again"}), text="so far nothing")] * LIMIT
