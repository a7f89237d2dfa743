"""What a model is told of a run and of those before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retunable.agent.conversations.transcript import (
    estimated_tokens,
    last_text,
    messages_so_far,
    within_budget,
)
from retunable.agent.loop.decision import CallTools, Decision, PlannedCall, Rejected
from retunable.agent.models.model import Message, ToolCall
from retunable.agent.runs.documents import Step, ToolResult
from tests.unit.agent.test_run_documents import RECORD

SEARCH = ToolCall("c1", "search", "{}")
NOPE = ToolCall("c2", "nope", "{}")
STEP = Step(
    record=RECORD,
    decision=CallTools("I look", (PlannedCall(SEARCH), PlannedCall(NOPE, refusal="no"))),
)
RESULT = ToolResult(text="found", ok=True, started_at="", ended_at="", replica="")


def test_results_stand_behind_their_calls_and_refusals_in_their_place() -> None:
    assert messages_so_far("?", [STEP], {(1, 0): RESULT}) == (
        Message("user", "?"),
        Message("assistant", "I look", (SEARCH, NOPE)),
        Message("tool", "found", call_id="c1"),
        Message("tool", "no", call_id="c2"),
    )


def test_a_rejected_answer_is_told_to_the_model_in_its_run_only() -> None:
    rejected: Decision = Rejected("bad", "say it otherwise")
    steps = [Step(record=RECORD, decision=rejected)]
    told = messages_so_far("?", steps, {})
    assert [m.text for m in told] == ["?", "bad", "say it otherwise"]
    assert len(messages_so_far("?", steps, {}, keep_rejected=False)) == 1


def test_a_missing_result_is_never_told_as_nothing() -> None:
    with pytest.raises(KeyError):
        messages_so_far("?", [STEP], {})


def test_the_last_text_is_what_the_model_said_last() -> None:
    assert last_text(messages_so_far("?", [STEP], {(1, 0): RESULT})) == "I look"
    assert last_text([Message("user", "?")]) == ""


def a_run(length: int, tools: int) -> tuple[Message, ...]:
    text = "x" * length
    between = [
        message
        for number in range(tools)
        for message in (
            Message("assistant", "", (ToolCall(f"c{number}", "t", "{}"),)),
            Message("tool", text, call_id=f"c{number}"),
        )
    ]
    return (Message("user", text), *between, Message("assistant", text))


RUNS = st.lists(st.builds(a_run, st.integers(0, 200), st.integers(0, 4)), max_size=8)


@given(RUNS, st.integers(0, 500))
def test_what_is_kept_fits_the_budget(runs: list[tuple[Message, ...]], tokens: int) -> None:
    assert estimated_tokens(within_budget(runs, tokens=tokens)) <= tokens


@given(RUNS, st.integers(0, 500))
def test_no_tool_call_is_parted_from_its_result(
    runs: list[tuple[Message, ...]], tokens: int
) -> None:
    kept = within_budget(runs, tokens=tokens)
    asked = [call.id for message in kept for call in message.calls]
    answered = [message.call_id for message in kept if message.role == "tool"]
    assert asked == answered
    assert not kept or kept[0].role == "user"


@given(RUNS)
def test_everything_is_kept_in_order_where_it_fits(runs: list[tuple[Message, ...]]) -> None:
    kept = within_budget(runs, tokens=10**9)
    assert kept == tuple(message for run in reversed(runs) for message in run)
