"""The documents that are kept of runs: their stored forms, and what of them can be forgotten."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from retunable.agent.guardrails.check import CheckResult, Judged, Verdict
from retunable.agent.loop.decision import (
    CallTools,
    Decision,
    Failed,
    Finished,
    PlannedCall,
    Rejected,
)
from retunable.agent.models.model import ToolCall
from retunable.agent.runs.documents import (
    Begun,
    Ended,
    RunRequest,
    Step,
    ToolResult,
    forgotten,
    is_forgotten,
)
from retunable.agent.runs.records import StepRecord
from retunable.agent.runs.views import RunState

REQUEST = RunRequest(
    agent="a",
    environment="default",
    run_id="r",
    message="SECRET",
    conversation_id="c",
    user_id="SECRET-USER",
    attributes={"plan": "SECRET-PLAN"},
)
RECORD = StepRecord(
    step=1,
    replica="here:1",
    revision=2,
    effective_checksum="1:sha256:e",
    version=3,
    version_checksum="1:sha256:v",
    generation=4,
    variant="stable",
    flags=("f",),
    override_keys=("role",),
    provider="openai",
    model="m-1",
    system_prompt_checksum="1:sha256:p",
    tools_checksum="1:sha256:t",
    package="0.1.0",
    input_tokens=5,
    output_tokens=6,
    started_at="2026-01-01T00:00:00.000+00:00",
    ended_at="2026-01-01T00:00:01.000+00:00",
    unpinned=None,
)
CALLS = (
    PlannedCall(ToolCall("c1", "search", '{"q": "SECRET"}')),
    PlannedCall(ToolCall("c2", "nope", "{}"), refusal="no SECRET tool"),
)
DECISIONS: list[Decision] = [
    Finished("SECRET", "answer"),
    Failed("SECRET"),
    CallTools("SECRET", CALLS),
    Rejected("SECRET", "SECRET"),
]


def stored(document: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(json.dumps(document.to_json()))
    return data


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_step_survives_its_stored_form(decision: Decision) -> None:
    step = Step(record=RECORD, decision=decision)
    assert Step.from_json(stored(step)) == step


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_forgotten_step_keeps_its_record_and_nothing_that_was_said(decision: Decision) -> None:
    data = forgotten(stored(Step(record=RECORD, decision=decision)))
    assert "SECRET" not in json.dumps(data)
    assert Step.from_json(data) == Step(record=RECORD, decision=None)
    assert is_forgotten(data)


def test_a_step_without_a_release_survives_its_stored_form() -> None:
    bare = replace(
        RECORD, version=None, version_checksum=None, generation=None, model=None, flags=()
    )
    step = Step(record=replace(bare, override_keys=()), decision=Failed("no"))
    assert Step.from_json(stored(step)) == step


SAFE = CheckResult(name="length", score=1.0, threshold=0.5)
RUDE = CheckResult(name="tone", score=0.25, threshold=0.5, reason="SECRET is rude")
BROKEN = CheckResult(name="judge", score=0.0, threshold=0.5, reason="raised", broken=True)
JUDGED = (Judged(Verdict((SAFE, RUDE)), 0), Judged(Verdict((SAFE, BROKEN)), 1))


def test_verdicts_survive_their_stored_form() -> None:
    step = Step(record=RECORD, decision=CallTools("t", CALLS), judged=JUDGED)
    assert Step.from_json(stored(step)) == step
    assert stored(step)["record"]["verdicts"][0] == {
        "call": 0,
        "checks": [
            {"name": "length", "score": 1.0, "threshold": 0.5, "broken": False},
            {"name": "tone", "score": 0.25, "threshold": 0.5, "broken": False},
        ],
    }


def test_forgotten_verdicts_keep_their_scores_and_lose_their_reasons() -> None:
    step = Step(record=RECORD, decision=CallTools("t", CALLS), judged=JUDGED)
    data = forgotten(stored(step))
    assert "SECRET" not in json.dumps(data)
    first = Step.from_json(data).judged[0]
    assert first == Judged(Verdict((SAFE, replace(RUDE, reason=""))), 0)


def test_a_step_from_before_verdicts_were_kept_is_read() -> None:
    data = stored(Step(record=RECORD, decision=Rejected("t", "no")))
    assert not {"verdicts", "reasons"} & (set(data["record"]) | set(data["content"]))
    assert Step.from_json(data).judged == ()


def test_what_a_run_was_asked_survives_its_stored_form() -> None:
    begun = Begun.of(REQUEST, begun_at="now", replica="here:1")
    assert Begun.from_json(stored(begun)) == begun
    data = forgotten(stored(begun))
    assert "SECRET" not in json.dumps(data)
    assert Begun.from_json(data).message is None


def test_a_result_and_an_end_survive_their_stored_forms() -> None:
    result = ToolResult(text="SECRET", ok=True, started_at="a", ended_at="b", replica="r")
    ended = Ended(
        state=RunState.FINISHED,
        ended_at="now",
        steps=1,
        tokens=11,
        text="SECRET",
        stop_reason="answer",
    )
    assert ToolResult.from_json(stored(result)) == result
    assert Ended.from_json(stored(ended)) == ended
    for document in (result, ended):
        assert "SECRET" not in json.dumps(forgotten(stored(document)))


def test_only_calls_without_a_refusal_are_run() -> None:
    assert Step(record=RECORD, decision=CallTools("", CALLS)).runnable == (0,)


@pytest.mark.parametrize(
    "other",
    [
        {"message": "?"},
        {"conversation_id": None},
        {"user_id": None},
        {"attributes": {}},
        {"run_id": "s"},
    ],
)
def test_the_hash_of_an_input_covers_all_of_it(other: dict[str, Any]) -> None:
    assert replace(REQUEST, **other).input_hash != REQUEST.input_hash


def test_the_pin_of_the_program_is_no_part_of_the_input() -> None:
    assert replace(REQUEST, pin="call").input_hash == REQUEST.input_hash


def test_the_stored_forms_are_pinned() -> None:
    step = stored(Step(record=RECORD, decision=CallTools("t", CALLS)))
    assert step["v"] == 1
    assert step["record"]["decision"] == {
        "kind": "tools",
        "calls": [{"name": "search", "run": True}, {"name": "nope", "run": False}],
    }
    assert set(step["content"]) == {"text", "calls"}
    assert set(step["record"]) == {
        "decision",
        "effective_checksum",
        "ended_at",
        "flags",
        "generation",
        "input_tokens",
        "model",
        "output_tokens",
        "override_keys",
        "package",
        "provider",
        "replica",
        "revision",
        "started_at",
        "step",
        "system_prompt_checksum",
        "tools_checksum",
        "variant",
        "version",
        "version_checksum",
    }
    begun = stored(Begun.of(REQUEST, begun_at="now", replica="here:1"))
    assert begun["record"] == {
        "run_id": "r",
        "agent": "a",
        "environment": "default",
        "conversation_id": "c",
        "pin": "turn",
        "input_hash": REQUEST.input_hash,
        "begun_at": "now",
        "replica": "here:1",
    }
    assert REQUEST.input_hash == (
        "sha256:40c34cd775d18564d6a017a13ad7a89257c7c76c4a775f6e04e424dd92f93c47"
    )
