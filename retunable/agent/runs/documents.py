"""The documents that the state store keeps of one run, and their JSON forms.

Each has a ``record``, which stays for ever, and a ``content``, which ``forget`` erases. Each is
written once: what a run was asked, each model call, each tool call, how it ended.
Compatibility data: ``v`` numbers the form, and a changed meaning is a new number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from retunable.agent.guardrails.check import Judged, Verdict
from retunable.agent.loop.decision import (
    CallTools,
    Decision,
    Failed,
    Finished,
    PlannedCall,
    Rejected,
    StopReason,
)
from retunable.agent.loop.pinning import Pin
from retunable.agent.models.model import ToolCall
from retunable.agent.runs.exposed import Exposed
from retunable.agent.runs.records import StepRecord
from retunable.agent.runs.views import RunState

FORM: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What a run is asked. ``own_id`` tells that the run id was just made up, so nobody has it."""

    agent: str
    environment: str
    run_id: str
    message: str
    pin: Pin = "turn"
    conversation_id: str | None = None
    user_id: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    own_id: bool = False

    @property
    def input_hash(self) -> str:
        """A hash over everything that makes this another input; salted with the run id."""
        parts = [
            self.run_id,
            self.message,
            self.conversation_id,
            self.user_id,
            sorted(self.attributes.items()),
        ]
        return "sha256:" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a run was asked, when and where; ``message`` is None where it was forgotten."""

    run_id: str
    agent: str
    environment: str
    conversation_id: str | None
    pin: Pin
    input_hash: str
    begun_at: str
    replica: str
    message: str | None
    user_id: str | None
    attributes: Mapping[str, str]

    @classmethod
    def of(cls, request: RunRequest, *, begun_at: str, replica: str) -> Begun:
        """Return the document of a new run."""
        return cls(
            run_id=request.run_id,
            agent=request.agent,
            environment=request.environment,
            conversation_id=request.conversation_id,
            pin=request.pin,
            input_hash=request.input_hash,
            begun_at=begun_at,
            replica=replica,
            message=request.message,
            user_id=request.user_id,
            attributes=request.attributes,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        kept = ("run_id", "agent", "environment", "conversation_id", "pin", "input_hash")
        content = {
            "message": self.message,
            "user_id": self.user_id,
            "attributes": dict(self.attributes),
        }
        record = {name: getattr(self, name) for name in (*kept, "begun_at", "replica")}
        return {"v": FORM, "record": record, "content": content}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Begun:
        """Read the stored form, forgotten or not."""
        content = data.get("content") or {}
        return cls(
            **data["record"],
            message=content.get("message"),
            user_id=content.get("user_id"),
            attributes=content.get("attributes") or {},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One model call as recorded, and what follows from it; no decision where it was forgotten.

    ``judged`` are the verdicts of guardrails; where it was forgotten they have lost their reasons,
    which may repeat what was said. ``exposed`` stands in a run's first step.
    """

    record: StepRecord
    decision: Decision | None
    judged: tuple[Judged, ...] = ()
    exposed: Exposed | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        if self.decision is None:
            raise ValueError("a forgotten step is not written again")
        kind, content = _decision_to_json(self.decision)
        # What is absent or empty is left out: it is a tenth of what a step costs to keep.
        said = {name: value for name, value in self.record.to_json().items() if value not in _NONE}
        verdicts, reasons = _judged_to_json(self.judged)
        where = {} if self.exposed is None else {"exposed": self.exposed.to_json()}
        record = said | {"decision": kind} | verdicts | where
        return {"v": FORM, "record": record, "content": content | reasons}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Step:
        """Read the stored form, forgotten or not."""
        record, content = data["record"], data.get("content")
        decision = None if content is None else _decision_from_json(record["decision"], content)
        judged = _judged_from_json(record.get("verdicts", ()), (content or {}).get("reasons"))
        where = Exposed.from_json(record["exposed"]) if "exposed" in record else None
        return cls(
            record=StepRecord.from_json(record), decision=decision, judged=judged, exposed=where
        )

    @property
    def runnable(self) -> tuple[int, ...]:
        """Which of the calls that the model asked for are run."""
        if not isinstance(self.decision, CallTools):
            return ()
        return tuple(n for n, plan in enumerate(self.decision.calls) if plan.refusal is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """One tool call as recorded; ``text`` is None where it was forgotten."""

    text: str | None
    ok: bool
    started_at: str
    ended_at: str
    replica: str

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        record = {
            "ok": self.ok,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "replica": self.replica,
        }
        return {"v": FORM, "record": record, "content": {"text": self.text}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ToolResult:
        """Read the stored form, forgotten or not."""
        return cls(**data["record"], text=(data.get("content") or {}).get("text"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended. ``busy_with`` names the run that held its conversation: it never began."""

    state: RunState
    ended_at: str
    steps: int
    tokens: int
    text: str | None = None
    stop_reason: StopReason | None = None
    reason: str | None = None
    busy_with: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        record = {
            "state": self.state.value,
            "ended_at": self.ended_at,
            "steps": self.steps,
            "tokens": self.tokens,
            "stop_reason": self.stop_reason,
            "busy_with": self.busy_with,
        }
        content = {"text": self.text, "reason": self.reason}
        return {"v": FORM, "record": record, "content": content}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ended:
        """Read the stored form, forgotten or not."""
        record, content = dict(data["record"]), data.get("content") or {}
        state = RunState(record.pop("state"))
        return cls(**record, state=state, text=content.get("text"), reason=content.get("reason"))


_NONE: Final[tuple[Any, ...]] = (None, [])


def is_forgotten(data: Mapping[str, Any]) -> bool:
    """Tell whether a document's content was erased."""
    return data.get("content") is None


def forgotten(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without its content."""
    return {**data, "content": None}


def _decision_to_json(decision: Decision) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is kept of a decision, and what can be forgotten."""
    match decision:
        case Finished(text, stop_reason):
            return {"kind": "finished", "stop_reason": stop_reason}, {"text": text}
        case Failed(reason, error):
            return {"kind": "failed", "error": error}, {"reason": reason}
        case CallTools(text, calls):
            kept = [{"name": plan.call.name, "run": plan.refusal is None} for plan in calls]
            said = [_planned_to_json(plan) for plan in calls]
            return {"kind": "tools", "calls": kept}, {"text": text, "calls": said}
        case Rejected(text, notice):
            return {"kind": "rejected"}, {"text": text, "notice": notice}
        case _ as unreachable:
            assert_never(unreachable)


def _decision_from_json(kept: Mapping[str, Any], content: Mapping[str, Any]) -> Decision:
    match kept["kind"]:
        case "finished":
            return Finished(content["text"], kept["stop_reason"])
        case "failed":
            return Failed(content["reason"], kept.get("error", "other"))
        case "tools":
            calls = tuple(_planned_from_json(call) for call in content["calls"])
            return CallTools(content["text"], calls)
        case "rejected":
            return Rejected(content["text"], content["notice"])
        case kind:
            raise ValueError(f"a step of an unknown kind, {kind!r}: written by a later release?")


def _judged_to_json(judged: tuple[Judged, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is kept of verdicts, and what can be forgotten; nothing where nothing checked."""
    kept, reasons = [], []
    for one in judged:
        checks = one.verdict.to_json()
        if checks:
            reasons.append([check.pop("reason") for check in checks])
            kept.append({"call": one.call, "checks": checks})
    return ({"verdicts": kept}, {"reasons": reasons}) if kept else ({}, {})


def _judged_from_json(
    kept: Sequence[Mapping[str, Any]], reasons: Sequence[Sequence[str]] | None
) -> tuple[Judged, ...]:
    judged = []
    for number, one in enumerate(kept):
        texts = reasons[number] if reasons else [""] * len(one["checks"])
        checks = [
            {**check, "reason": text} for check, text in zip(one["checks"], texts, strict=True)
        ]
        judged.append(Judged(Verdict.from_json(checks), one["call"]))
    return tuple(judged)


def _planned_to_json(planned: PlannedCall) -> dict[str, Any]:
    call = planned.call
    data = {"id": call.id, "name": call.name, "arguments": call.arguments}
    return data if planned.refusal is None else data | {"refusal": planned.refusal}


def _planned_from_json(data: Mapping[str, Any]) -> PlannedCall:
    call = ToolCall(data["id"], data["name"], data["arguments"])
    return PlannedCall(call, data.get("refusal"))
