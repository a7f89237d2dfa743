"""The body of a run, driven by hand."""

from collections.abc import Iterator, Mapping
from typing import Any

from retunable.agent.decision import (
    CallTools,
    Decision,
    Failed,
    Finished,
    PlannedCall,
    decision_to_json,
)
from retunable.agent.model import ToolCall
from retunable.agent.records import TurnInput
from retunable.agent.turn import (
    MODEL_STEP,
    TOOL_CALL,
    WORKFLOW,
    WORKFLOW_VERSION,
    Call,
    CallAll,
    turn,
)

INPUT = TurnInput(agent="a", environment="default", run_id="r1", message="hello").to_json()
SEARCH = PlannedCall(ToolCall("c1", "search", '{"q": 1}'))
ADD = PlannedCall(ToolCall("c2", "add", "{}"))
UNKNOWN = PlannedCall(ToolCall("c3", "nope", "{}"), refusal="no such tool")


def step_result(decision: Decision, *, number: int = 1) -> dict[str, Any]:
    return {
        "v": 1,
        "decision": decision_to_json(decision),
        "effective": {"checksum": f"sum {number}"},
        "record": {"step": number},
    }


def drive(results: list[Any]) -> tuple[list[Call | CallAll], dict[str, Any] | None]:
    """Feed results to a fresh body; return what it yielded, and its outcome if it ended."""
    body = turn(INPUT)
    yielded = [next(body)]
    given: Iterator[Any] = iter(results)
    for result in given:
        try:
            yielded.append(body.send(result))
        except StopIteration as end:
            outcome: Mapping[str, Any] = end.value
            return yielded, dict(outcome)
    return yielded, None


def test_a_turn_without_tools_is_one_activity() -> None:
    yielded, outcome = drive([step_result(Finished("hi", "answer"))])
    assert [call.activity for call in yielded if isinstance(call, Call)] == [MODEL_STEP]
    assert outcome == {
        "v": 1,
        "outcome": "finished",
        "text": "hi",
        "stop_reason": "answer",
        "steps": [{"step": 1}],
    }


def test_a_refused_run_ends_as_failed_with_its_reason() -> None:
    _, outcome = drive([step_result(Failed("no key"))])
    assert outcome is not None
    assert (outcome["outcome"], outcome["reason"]) == ("failed", "no key")


def test_the_tools_of_one_step_are_asked_for_at_once() -> None:
    yielded, _ = drive([step_result(CallTools("", (SEARCH, ADD)))])
    asked = yielded[1]
    assert isinstance(asked, CallAll)
    assert [(call.activity, call.input["call"]["name"]) for call in asked.calls] == [
        (TOOL_CALL, "search"),
        (TOOL_CALL, "add"),
    ]


def test_a_refused_call_is_answered_without_an_activity_in_its_place() -> None:
    yielded, _ = drive(
        [step_result(CallTools("", (UNKNOWN, SEARCH))), [{"text": "found", "ok": True}]]
    )
    asked, step = yielded[1], yielded[2]
    assert isinstance(asked, CallAll)
    assert isinstance(step, Call)
    assert len(asked.calls) == 1
    assert [message["text"] for message in step.input["transcript"][2:]] == [
        "no such tool",
        "found",
    ]


def test_a_step_with_nothing_but_refused_calls_goes_straight_on() -> None:
    yielded, _ = drive([step_result(CallTools("", (UNKNOWN,)))])
    assert isinstance(yielded[1], Call)
    assert yielded[1].input["step"] == 2


def test_the_next_step_gets_the_transcript_and_the_effective_config() -> None:
    yielded, _ = drive(
        [step_result(CallTools("looking", (SEARCH,))), [{"text": "found", "ok": True}]]
    )
    step = yielded[2]
    assert isinstance(step, Call)
    assert step.input["effective"] == {"checksum": "sum 1"}
    assert step.input["transcript"] == [
        {"role": "user", "text": "hello"},
        {
            "role": "assistant",
            "text": "looking",
            "calls": [{"id": "c1", "name": "search", "arguments": '{"q": 1}'}],
        },
        {"role": "tool", "text": "found", "call_id": "c1"},
    ]


def test_a_stop_before_the_call_adds_no_step() -> None:
    stop = step_result(Finished("so far", "max_iterations")) | {"record": None}
    _, outcome = drive(
        [step_result(CallTools("", (SEARCH,))), [{"text": "found", "ok": True}], stop]
    )
    assert outcome is not None
    assert outcome["steps"] == [{"step": 1}]


def test_a_replay_of_any_prefix_asks_for_the_same() -> None:
    history: list[Any] = [
        step_result(CallTools("one", (SEARCH, UNKNOWN, ADD))),
        [{"text": "1", "ok": True}, {"text": "2", "ok": False}],
        step_result(CallTools("two", (UNKNOWN,)), number=2),
        step_result(CallTools("", (ADD,)), number=3),
        [{"text": "3", "ok": True}],
        step_result(Finished("end", "answer"), number=4),
    ]
    whole, outcome = drive(history)
    assert outcome is not None
    for length in range(len(history)):
        again, _ = drive(history[:length])
        assert again == whole[: length + 1]


def test_names_that_histories_keep_are_pinned() -> None:
    assert (WORKFLOW, WORKFLOW_VERSION) == ("retunable.turn", "v1")
    assert (MODEL_STEP, TOOL_CALL) == ("retunable.model_step", "retunable.tool_call")


def test_the_input_form_that_histories_keep_is_pinned() -> None:
    assert INPUT == {
        "v": 1,
        "agent": "a",
        "environment": "default",
        "run_id": "r1",
        "message": "hello",
        "pin": "turn",
        "conversation_id": None,
        "user_id": None,
        "attributes": {},
    }
