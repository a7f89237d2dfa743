"""What is said about runs over HTTP and gRPC, as pydantic models, so that /openapi.json is whole."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from retunable.agent.runs.records import StepRecord
from retunable.agent.runs.telling import Rating
from retunable.agent.runs.views import ExplainedStep, RunStatus

PRINTABLE: Final = r"^[^\x00-\x1f\x7f]+$"
"""An id goes into paths and logs: no control characters."""

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=PRINTABLE)]


class RunRequest(BaseModel):
    """One message for the agent. Who asks is never in the body: see the ``Retunable-`` headers.

    ``deadline_seconds`` bounds the wait for the answer, not the run; ``wait`` false asks for none.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    message: Annotated[str, StringConstraints(min_length=1)]
    conversation_id: Identifier | None = None
    run_id: Identifier | None = None
    deadline_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None
    wait: bool = True


class RunAnswer(BaseModel):
    """The answer of one run and the configuration that gave it, step by step."""

    model_config = ConfigDict(from_attributes=True)

    text: str
    run_id: str
    version: int | None
    version_checksum: str | None
    effective_checksum: str
    steps: tuple[StepRecord, ...]
    tokens: int
    stop_reason: str


class Feedback(BaseModel):
    """How a user liked the answer of a run; of several ratings of one user the last one counts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rating: Rating


class RunList(BaseModel):
    """The latest runs, newest first."""

    runs: tuple[RunStatus, ...]


class Forgotten(BaseModel):
    """What was said in the runs of a conversation is erased."""

    conversation_id: str
    runs: int


def step_progress(step: ExplainedStep) -> dict[str, Any]:
    """Return a step as it is told while its run goes on: without config, prompt and schemas.

    Where guardrails are set, no text of the model: one on the way was never judged as an answer,
    or did not pass, and whoever watches may show it to a user.
    """
    told = step.to_json()
    guarded = step.config is None or bool(step.config.get("guardrails"))
    text = None if guarded else step.text
    return {name: told[name] for name in ("record", "notice", "calls", "checks")} | {"text": text}
