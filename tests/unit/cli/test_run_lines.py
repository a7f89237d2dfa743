"""Runs and steps as lines for a person."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from retunable.agent.runs.views import (
    ExplainedCall,
    ExplainedCheck,
    ExplainedStep,
    Explanation,
    RunState,
)
from retunable.cli.explanation import explanation_lines
from retunable.cli.run_commands import StateChoice
from retunable.cli.step_lines import StepLines
from retunable.serve.run_models import step_progress
from tests.unit.serve.standin import CHECKSUM, StandInAgent, a_record, a_run, a_step

CALL = ExplainedCall(call_id="r.1.0", name="add", arguments='{"a": 1}')
DONE = replace(CALL, result="3\n4", ok=True)


def told(step: ExplainedStep) -> dict[str, Any]:
    """Return a step as it comes over HTTP."""
    progress: dict[str, Any] = json.loads(json.dumps(step_progress(step)))
    return progress


async def lines_of(*steps: ExplainedStep, **status: Any) -> list[str]:
    agent = StandInAgent(kept={"r": replace(a_run("r"), **status)}, steps=steps)
    explained = await agent.explain("r")
    if status.get("state") is RunState.FORGOTTEN:
        explained = replace(explained, message=None, user_id=None, attributes=None)
    return list(explanation_lines(json.loads(json.dumps(Explanation.to_json(explained)))))


def test_the_states_on_the_command_line_are_those_of_a_run() -> None:
    assert {choice.value for choice in StateChoice} == {state.value for state in RunState}


def test_a_step_that_comes_again_tells_only_what_is_new() -> None:
    lines = StepLines()
    assert list(lines.of(told(a_step(calls=(CALL,))))) == [
        "step 1: openai/small, 5 + 2 tokens",
        '  calls add({"a": 1})',
    ]
    assert list(lines.of(told(a_step(calls=(DONE,))))) == ["  add -> 3 4"]
    assert list(lines.of(told(a_step(calls=(DONE,))))) == []


def test_a_refused_call_and_a_failed_one_say_so() -> None:
    refused = replace(CALL, refusal="not offered")
    failed = replace(CALL, call_id="r.1.1", result="ZeroDivisionError", ok=False)
    lines = list(StepLines().of(told(a_step(calls=(refused, failed)))))
    assert '  calls add({"a": 1}), refused: not offered' in lines
    assert "  add -> failed: ZeroDivisionError" in lines


def test_a_step_says_why_its_pin_was_left() -> None:
    step = replace(a_step(), record=replace(a_record(), unpinned="revoked"))
    assert next(StepLines().of(told(step))).endswith("; unpinned: revoked")


async def test_an_explanation_tells_question_configuration_and_answer() -> None:
    lines = await lines_of(a_step(text="said", calls=(DONE,)))
    assert (
        lines[0] == "run r of config-aware-agent (default), finished after 2.5 s, 1 step, 7 tokens"
    )
    assert lines[2:4] == ["user zoe, plan=pro", "asked: hello"]
    assert (
        f"  config {CHECKSUM}, no version (default), revision 3, overridden: agent_role, retunable 0.1.0"
        in lines
    )
    assert '    role = "Assistant"' in lines
    assert "    You are Assistant." in lines
    assert '  calls add({"a": 1}) -> 3 4' in lines
    assert lines[-1] == "answer (answer): the answer"


async def test_an_explanation_tells_what_each_guardrail_found() -> None:
    safe = ExplainedCheck(
        call=0, name="terms", score=1, threshold=0.5, passed=True, broken=False, reason=""
    )
    rude = replace(safe, call=None, name="tone", score=0.25, passed=False, reason="be kind")
    broken = replace(rude, name="judge", score=0, broken=True, reason="it raised")
    lines = await lines_of(replace(a_step(), checks=(safe, rude, broken)))
    assert [line for line in lines if line.startswith("  check ")] == [
        "  check terms on call 1: passed (scored 1, needs 0.5)",
        "  check tone on the answer: not passed (scored 0.25, needs 0.5): be kind",
        "  check judge on the answer: broken, so not passed: it raised",
    ]


@pytest.mark.parametrize(("guardrails", "shown"), [({}, "said"), ({"tone": {}}, None)])
def test_whoever_watches_a_guarded_run_sees_no_text_that_was_not_judged(
    guardrails: dict[str, Any], shown: str | None
) -> None:
    step = replace(a_step(text="said"), config={"guardrails": guardrails})
    assert told(step)["text"] == shown


async def test_a_configuration_is_shown_once_until_it_changes() -> None:
    other = replace(a_record(3), effective_checksum="1:sha256:ff")
    changed = replace(a_step(3), record=other, config={"role": "Expert"})
    lines = await lines_of(a_step(1), a_step(2), changed)
    assert [line.strip() for line in lines if "role =" in line] == [
        'role = "Assistant"',
        'role = "Expert"',
    ]
    assert lines.count("    You are Assistant.") == 1


async def test_what_was_forgotten_is_said_to_be() -> None:
    step = replace(a_step(), text=None, calls=(replace(CALL, arguments=None),))
    lines = await lines_of(step, state=RunState.FORGOTTEN, text=None, stop_reason=None)
    assert "asked: (forgotten)" in lines
    assert "  calls add(forgotten)" in lines
    assert lines[-1] == "forgotten"


async def test_a_text_of_several_lines_stands_below_its_name() -> None:
    lines = await lines_of(a_step(), text="one\n\ntwo")
    assert lines[-4:] == ["answer (answer):", "  one", "", "  two"]
