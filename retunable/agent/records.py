"""The values of one run that are kept in workflow histories, with their JSON forms.

Compatibility data: a run begun by one release is finished by the next. Each form says its
number under ``v``; a changed meaning is a new number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from retunable.agent.decision import StopReason
from retunable.agent.pinning import Pin

FORM: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnInput:
    """What a run is started with. Continue-as-new and conversations will add to it."""

    agent: str
    environment: str
    run_id: str
    message: str
    pin: Pin = "turn"
    conversation_id: str | None = None
    user_id: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the workflow's input."""
        return {"v": FORM, **asdict(self), "attributes": dict(self.attributes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TurnInput:
        """Read ``to_json``'s form."""
        return cls(**_fields(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One model call: on what configuration, and at what price."""

    step: int
    revision: int
    effective_checksum: str
    version: int | None
    version_checksum: str | None
    generation: int | None
    variant: str
    override_keys: tuple[str, ...]
    provider: str
    model: str | None
    input_tokens: int
    output_tokens: int
    unpinned: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the form inside a step's result."""
        return asdict(self) | {"override_keys": list(self.override_keys)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StepRecord:
        """Read ``to_json``'s form."""
        return cls(**dict(data) | {"override_keys": tuple(data["override_keys"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The answer of a run, and the configuration that gave it.

    ``version``, ``version_checksum`` and ``effective_checksum`` are those of the last step;
    each step has its own. ``tokens`` counts input and output of all steps.
    """

    text: str
    run_id: str
    version: int | None
    version_checksum: str | None
    effective_checksum: str
    steps: tuple[StepRecord, ...]
    tokens: int
    stop_reason: StopReason

    def to_json(self) -> dict[str, Any]:
        """Return every field as JSON values."""
        return asdict(self) | {"steps": [step.to_json() for step in self.steps]}


def run_result(run_id: str, outcome: Mapping[str, Any]) -> RunResult:
    """Read the outcome of a finished run; see ``turn`` for its form."""
    steps = tuple(StepRecord.from_json(step) for step in outcome["steps"])
    last = steps[-1]
    return RunResult(
        text=outcome["text"],
        run_id=run_id,
        version=last.version,
        version_checksum=last.version_checksum,
        effective_checksum=last.effective_checksum,
        steps=steps,
        tokens=sum(step.input_tokens + step.output_tokens for step in steps),
        stop_reason=outcome["stop_reason"],
    )


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    if data.get("v") != FORM:
        raise ValueError(f"a run of form {data.get('v')!r}, this program reads {FORM}")
    return {key: value for key, value in data.items() if key != "v"}
