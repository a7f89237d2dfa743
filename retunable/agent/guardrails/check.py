"""What a guardrail is, and what comes of judging one proposal with several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from retunable.agent.guardrails.proposal import Answer, Proposal, ProposedCall
from retunable.agent.tools.threads import ToolThreads


@dataclass(frozen=True, slots=True)
class Score:
    """How safe a proposal is, from 1 (safe) to 0; ``reason`` says what the model should change."""

    value: float
    reason: str = ""


SAFE = Score(1.0)


class Guardrail(Protocol):
    """A check that configuration may name."""

    @property
    def name(self) -> str:
        """The name in ``config.guardrails``."""

    def check_settings(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what is wrong with some settings; empty where nothing is."""

    async def score(
        self, proposal: Proposal, settings: Mapping[str, Any], *, threads: ToolThreads
    ) -> Score:
        """Return the score of one proposal; whatever is raised counts as a score of 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check's part of a verdict; ``broken`` where the check itself raised or hung."""

    name: str
    score: float
    threshold: float
    reason: str = ""
    broken: bool = False

    @property
    def passed(self) -> bool:
        """Whether the score reaches the threshold; a broken check passes nothing."""
        return self.score >= self.threshold and not self.broken


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all checks of a configuration say about one proposal, in the configuration's order."""

    checks: tuple[CheckResult, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check passed; without checks everything does."""
        return not self.failed

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def reasons(self) -> str:
        """One line that names each failed check and why; for a log or a failed run."""
        return "; ".join(_line(check) for check in self.failed)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the form that a step keeps."""
        return [asdict(check) for check in self.checks]

    @classmethod
    def from_json(cls, data: Sequence[Mapping[str, Any]]) -> Verdict:
        """Read ``to_json``'s form."""
        return cls(tuple(CheckResult(**check) for check in data))


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict of one step: on the tool call of this index, or on the answer."""

    verdict: Verdict
    call: int | None = None


def explain_to_model(proposal: Proposal, verdict: Verdict) -> str:
    """Return what the model is told instead of a refused proposal's outcome."""
    listed = "\n".join(f"- {_line(check)}" for check in verdict.failed)
    match proposal:
        case Answer():
            return (
                f"Your answer was not given to the user, for it did not pass:\n{listed}\n"
                "Answer again in a way that passes."
            )
        case ProposedCall(tool):
            return (
                f"{tool} was not called, for the call did not pass:\n{listed}\n"
                "Call it in a way that passes, or answer without it."
            )


def _line(check: CheckResult) -> str:
    score = f" (scored {check.score:g}, needs {check.threshold:g})" if check.score > 0 else ""
    return f"{check.name}: {check.reason or 'did not pass'}{score}"
