"""What a program is told about its runs: how one is, what happened in it, what gave its answer.

Plain frozen values. Where a conversation was forgotten, what people and models said is None and
the rest stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from retunable.agent.loop.decision import StopReason
from retunable.agent.runs.records import StepRecord


class RunState(StrEnum):
    """How far a run is."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """One run now. ``text`` is its answer, ``reason`` why it failed; times are UTC in ISO 8601.

    ``steps`` counts those of a run that is over; of a running one it is None.
    """

    run_id: str
    conversation_id: str | None
    state: RunState
    begun_at: str
    ended_at: str | None = None
    text: str | None = None
    stop_reason: StopReason | None = None
    reason: str | None = None
    steps: int | None = None
    tokens: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return every field as JSON values."""
        return asdict(self) | {"state": self.state.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedCall:
    """One tool call; ``call_id`` is the stable one that the tool saw.

    ``refusal`` is why it did not run, ``result`` what the model was told; None while it runs.
    """

    call_id: str
    name: str
    arguments: str | None
    refusal: str | None = None
    result: str | None = None
    ok: bool | None = None
    started_at: str | None = None
    ended_at: str | None = None
    replica: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedCheck:
    """What one guardrail said of one proposal: the tool call of this index, or the answer.

    ``broken`` where the check itself raised or hung; then nothing passes.
    """

    call: int | None
    name: str
    score: float
    threshold: float
    passed: bool
    broken: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedStep:
    """One model call and its tool calls, with what they ran on.

    ``config``, ``system_prompt`` and ``tools`` are as the model got them: the effective config by
    field name, the prompt as sent, the tool schemas. ``text`` is what the model said, ``notice``
    what it was told about it by a guardrail, ``checks`` what each guardrail found.
    """

    record: StepRecord
    config: Mapping[str, Any] | None = None
    system_prompt: str | None = None
    tools: tuple[Mapping[str, Any], ...] | None = None
    text: str | None = None
    notice: str | None = None
    calls: tuple[ExplainedCall, ...] = ()
    checks: tuple[ExplainedCheck, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return every field as JSON values."""
        return asdict(self) | {"record": self.record.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that is kept of one run, also after its workflow history was purged."""

    status: RunStatus
    agent: str
    environment: str
    pin: str
    replica: str
    message: str | None
    user_id: str | None
    attributes: Mapping[str, str] | None
    steps: tuple[ExplainedStep, ...]

    def to_json(self) -> dict[str, Any]:
        """Return every field as JSON values."""
        parts = {
            "status": self.status.to_json(),
            "steps": [step.to_json() for step in self.steps],
        }
        return asdict(self) | parts
