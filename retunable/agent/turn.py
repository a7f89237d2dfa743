"""The body of a run as a pure generator: it yields what to call and receives the results.

It never reads configuration, time, randomness or environment: whatever depends on those was
decided in an activity and comes back in its result. So any change at any moment replays.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from retunable.agent.decision import CallTools, Failed, Finished, PlannedCall, decision_from_json
from retunable.agent.model import Message
from retunable.agent.records import FORM

WORKFLOW: Final = "retunable.turn"
WORKFLOW_VERSION: Final = "v1"
MODEL_STEP: Final = "retunable.model_step"
TOOL_CALL: Final = "retunable.tool_call"


@dataclass(frozen=True, slots=True)
class Call:
    """One activity to run, by name."""

    activity: str
    input: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallAll:
    """Several activities to run at once; their results come back in the same order."""

    calls: tuple[Call, ...]


TurnBody = Generator[Call | CallAll, Any, dict[str, Any]]


def turn(data: Mapping[str, Any]) -> TurnBody:
    """Run model step after model step, with the tools between them, until a decision ends it.

    ``data`` is a ``TurnInput`` as JSON. Returns ``{"v", "outcome": "finished", "text",
    "stop_reason", "steps"}`` or ``{"v", "outcome": "failed", "reason", "steps"}``.
    """
    transcript = [Message("user", data["message"]).to_json()]
    effective: dict[str, Any] | None = None
    steps: list[dict[str, Any]] = []
    while True:
        result = yield _model_step(data, len(steps) + 1, transcript, effective)
        effective = result["effective"]
        if result["record"] is not None:
            steps.append(result["record"])
        match decision_from_json(result["decision"]):
            case Finished(text, stop_reason):
                ended = {"outcome": "finished", "text": text, "stop_reason": stop_reason}
                return {"v": FORM, **ended, "steps": steps}
            case Failed(reason):
                return {"v": FORM, "outcome": "failed", "reason": reason, "steps": steps}
            case CallTools() as asked:
                results = yield from _run_tools(data, len(steps), asked.calls)
                transcript = [*transcript, *_messages(asked, results)]


def _model_step(
    data: Mapping[str, Any],
    step: int,
    transcript: list[dict[str, Any]],
    effective: dict[str, Any] | None,
) -> Call:
    given = {"turn": dict(data), "step": step, "transcript": transcript, "effective": effective}
    return Call(MODEL_STEP, {"v": FORM, **given})


def _run_tools(
    data: Mapping[str, Any], step: int, planned: tuple[PlannedCall, ...]
) -> Generator[CallAll, Any, list[str]]:
    runnable = [(n, plan) for n, plan in enumerate(planned) if plan.refusal is None]
    texts = [plan.refusal or "" for plan in planned]
    if runnable:
        calls = tuple(_tool_call(data, step, plan) for _, plan in runnable)
        results = yield CallAll(calls)
        for (number, _), result in zip(runnable, results, strict=True):
            texts[number] = result["text"]
    return texts


def _tool_call(data: Mapping[str, Any], step: int, planned: PlannedCall) -> Call:
    owner = {key: data[key] for key in ("agent", "environment", "run_id")}
    call = planned.call
    asked = {"id": call.id, "name": call.name, "arguments": call.arguments}
    return Call(TOOL_CALL, {"v": FORM, **owner, "step": step, "call": asked})


def _messages(asked: CallTools, results: list[str]) -> list[dict[str, Any]]:
    calls = tuple(planned.call for planned in asked.calls)
    answers = [Message("tool", text, call_id=c.id) for c, text in zip(calls, results, strict=True)]
    return [message.to_json() for message in (Message("assistant", asked.text, calls), *answers)]
