"""The body of a run, driven by hand."""

from __future__ import annotations

from typing import Any

from retunable.agent.loop.effects import Call, CallAll, ContinueAsNew
from retunable.agent.loop.turn import (
    FORM,
    MODEL_STEP,
    STEPS_PER_HISTORY,
    TOOL_CALL,
    WORKFLOW,
    WORKFLOW_VERSION,
    first_input,
    turn,
)

INPUT = first_input(agent="a", environment="default", run_id="r1")
END = {"v": 2, "next": "end", "calls": []}
STEP = {"v": 2, "next": "step", "calls": []}


def tools(*calls: int) -> dict[str, Any]:
    return {"v": 2, "next": "tools", "calls": list(calls)}


def drive(results: list[Any], data: dict[str, Any] = INPUT) -> tuple[list[Call | CallAll], Any]:
    """Feed results to a fresh body; return what it yielded, and what it returned if it ended."""
    body = turn(data)
    yielded = [next(body)]
    for result in results:
        try:
            yielded.append(body.send(result))
        except StopIteration as end:
            return yielded, end.value
    return yielded, None


def test_a_turn_without_tools_is_one_activity() -> None:
    yielded, outcome = drive([END])
    assert yielded == [Call(MODEL_STEP, INPUT)]
    assert outcome == {"v": 2, "run_id": "r1", "steps": 1}


def test_the_tools_of_one_step_are_asked_for_at_once_by_their_place() -> None:
    yielded, _ = drive([tools(0, 2)])
    owner = {"v": 2, "agent": "a", "environment": "default", "run_id": "r1", "step": 1}
    assert yielded[1] == CallAll(
        (
            Call(TOOL_CALL, {**owner, "call": 0, "siblings": 1}),
            Call(TOOL_CALL, {**owner, "call": 2, "siblings": 1}),
        )
    )


def test_after_the_tools_comes_the_next_step() -> None:
    yielded, _ = drive([tools(0), [{"v": 2}]])
    assert yielded[2] == Call(MODEL_STEP, INPUT | {"step": 2})


def test_a_step_without_tools_to_run_goes_straight_on() -> None:
    yielded, _ = drive([STEP])
    assert yielded[1] == Call(MODEL_STEP, INPUT | {"step": 2})


def test_a_long_run_goes_on_in_a_new_history_at_a_step_boundary() -> None:
    results: list[Any] = [tools(0), [{"v": 2}]] * STEPS_PER_HISTORY
    yielded, outcome = drive(results)
    assert outcome == ContinueAsNew(INPUT | {"step": STEPS_PER_HISTORY + 1})
    again, ended = drive([END], outcome.input)
    assert again == [Call(MODEL_STEP, outcome.input)]
    assert ended == {"v": 2, "run_id": "r1", "steps": STEPS_PER_HISTORY + 1}
    assert len(yielded) == 2 * STEPS_PER_HISTORY


def test_a_replay_of_any_prefix_asks_for_the_same() -> None:
    history: list[Any] = [tools(0, 1), [{}, {}], STEP, tools(0), [{}], END]
    whole, outcome = drive(history)
    assert outcome is not None
    for length in range(len(history)):
        again, _ = drive(history[:length])
        assert again == whole[: length + 1]


def test_names_that_histories_keep_are_pinned() -> None:
    assert (WORKFLOW, WORKFLOW_VERSION, FORM) == ("retunable.turn", "v2", 2)
    assert (MODEL_STEP, TOOL_CALL) == ("retunable.model_step", "retunable.tool_call")
    assert STEPS_PER_HISTORY == 10


def test_the_input_form_that_histories_keep_is_pinned() -> None:
    assert INPUT == {
        "v": 2,
        "agent": "a",
        "environment": "default",
        "run_id": "r1",
        "step": 1,
    }
