"""What a run leaves behind of each model call, and what it returns, with their JSON forms.

Compatibility data: read months later, by later releases. A field that a later release adds gets
a default, so that older records can still be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from retunable.agent.loop.decision import StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One model call: where and when, on what configuration, and at what price.

    ``effective_checksum``, ``system_prompt_checksum`` and ``tools_checksum`` name what the state
    store keeps: the effective config, the prompt as sent, the tool schemas. ``model`` is the name
    that the provider returned, ``package`` the version of Retunable. ``cost`` is in ``currency``,
    None where the program names no price for the model. Times are UTC in ISO 8601.
    """

    step: int
    replica: str
    revision: int
    effective_checksum: str
    version: int | None = None
    version_checksum: str | None = None
    generation: int | None = None
    variant: str
    flags: tuple[str, ...] = ()
    override_keys: tuple[str, ...] = ()
    provider: str
    model: str | None = None
    system_prompt_checksum: str
    tools_checksum: str
    package: str
    input_tokens: int
    output_tokens: int
    started_at: str
    ended_at: str
    unpinned: str | None = None
    rollout: str | None = None
    rollout_stage: int | None = None
    cost: float | None = None
    currency: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return every field as JSON values."""
        # Not asdict, which copies deeply: it was 6 % of what a step costs this process.
        lists = {"flags": list(self.flags), "override_keys": list(self.override_keys)}
        return {name: getattr(self, name) for name in _STEP_FIELDS} | lists

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StepRecord:
        """Read ``to_json``'s form; what a later release added is left out."""
        known = {name: data[name] for name in _STEP_FIELDS if name in data}
        lists = {name: tuple(known.get(name, ())) for name in ("flags", "override_keys")}
        return cls(**known | lists)

    @property
    def reference(self) -> dict[str, Any]:
        """What names the effective config of this step; see ``pinning.reference_to``."""
        named: dict[str, Any] = {
            "checksum": self.effective_checksum,
            "revision": self.revision,
            "variant": self.variant,
            "version": self.version,
            "version_checksum": self.version_checksum,
            "generation": self.generation,
            "override_keys": list(self.override_keys),
            "flags": list(self.flags),
        }
        if self.rollout is not None:
            named |= {"rollout": self.rollout, "rollout_stage": self.rollout_stage}
        return named


_STEP_FIELDS: Final = tuple(field.name for field in fields(StepRecord))


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


def run_result(
    run_id: str, text: str, stop_reason: StopReason, steps: tuple[StepRecord, ...]
) -> RunResult:
    """Put a result together; a run that finished has at least one step."""
    last = steps[-1]
    return RunResult(
        text=text,
        run_id=run_id,
        version=last.version,
        version_checksum=last.version_checksum,
        effective_checksum=last.effective_checksum,
        steps=steps,
        tokens=sum(step.input_tokens + step.output_tokens for step in steps),
        stop_reason=stop_reason,
    )
