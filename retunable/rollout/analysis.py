"""One rollout's analysis from beginning to end: events in, a verdict whenever one is asked for.

What it compares is its ``Basis``; when that changes the evidence is discarded, and what is left
of α halves. Runs that began on other tool code than the basis names are passed over. Nothing grows
while runs begin on several codes, while a field in which the variants differ is masked, or where too
little is known of stable: two arms of which nothing is heard are alike, and prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any, Final, Self

from retunable.config.stages import Cohort
from retunable.rollout.enrolment import Enrolment, Uncounted
from retunable.rollout.events import Event, Exposure
from retunable.rollout.metrics import Limits
from retunable.rollout.policy import Policy
from retunable.rollout.tally import CohortCounts
from retunable.rollout.tool_codes import ToolCodes
from retunable.rollout.verdict import Decision, Look, Verdict, judge

GROWS: Final = frozenset({Decision.GROW, Decision.PROMOTE})
MISSING_AT_MOST: Final = 0.1
"""The part of the control's users that may have a run without an end, which counts as an error."""
FORM: Final = 1
"""Of what ``Analysis.to_json`` gives; a release that counts otherwise raises it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What is compared: evidence on one basis says nothing of another.

    ``flags`` is a checksum of the published flags, ``overrides`` are the fields in which the
    variants differ and which an override masks. ``tools`` is the digest of the tools' schemas and
    code, None until the first run tells it.
    """

    stable_checksum: str
    canary_checksum: str
    flags: str
    tools: str | None
    overrides: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the form in which it is kept."""
        return {**asdict(self), "overrides": list(self.overrides)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Read ``to_json``'s form."""
        return cls(**{**kept, "overrides": tuple(kept["overrides"])})


class Analysis:
    """Follows one rollout under one policy."""

    def __init__(
        self,
        policy: Policy,
        cohorts: Sequence[Cohort],
        basis: Basis,
        *,
        limits: Limits | None = None,
    ) -> None:
        self.policy = policy
        self.restarts = 0
        self._basis = basis
        self._now = inf
        pace = policy.pace
        self._enrolment = Enrolment(
            cohorts,
            window_seconds=pace.window_seconds,
            run_timeout_seconds=pace.run_timeout_seconds,
            limits=limits,
        )
        self._tool_codes = ToolCodes(
            gone_after_seconds=pace.window_seconds + pace.run_timeout_seconds
        )

    @property
    def basis(self) -> Basis:
        """What is compared now."""
        return self._basis

    @property
    def uncounted(self) -> Uncounted:
        """The runs that are reported and not tested."""
        return self._enrolment.uncounted

    @property
    def counts(self) -> tuple[CohortCounts, ...]:
        """The counts of now."""
        return self._enrolment.tally.counts()

    def see(self, event: Event) -> None:
        """Take an event, in whatever order and however often it comes."""
        run = event if isinstance(event, Exposure) else event.exposure
        if self._basis.tools is None:
            self._basis = replace(self._basis, tools=run.tool_code)
        # A clock that is ahead must not keep its code in use after the last run on it.
        self._tool_codes.saw(run.tool_code, started_at=min(run.started_at, self._now))
        if run.tool_code == self._basis.tools:
            self._enrolment.see(event)
        else:
            self._enrolment.pass_over(event)

    def mature(self, now: float) -> None:
        """Decide who has matured by now; what comes later changes nothing of them."""
        self._now = now
        self._enrolment.mature(now)

    def tools_in_use(self) -> str | None:
        """Return the tool code to compare from now on: another one when only that is in use."""
        in_use = self._tool_codes.in_use(self._now)
        return next(iter(in_use)) if len(in_use) == 1 else self._basis.tools

    def rebase(self, basis: Basis) -> bool:
        """Start anew where something else is compared from now on; tell whether that is so."""
        if basis == self._basis:
            return False
        self._basis = basis
        self.restarts += 1
        self._enrolment.restart()
        return True

    def to_json(self) -> dict[str, Any]:
        """Return where it stands, which ``resume`` reads; users who are decided are not in it."""
        return {
            "form": FORM,
            "basis": self._basis.to_json(),
            "restarts": self.restarts,
            "now": self._now,
            "tool_codes": self._tool_codes.to_json(),
            "enrolment": self._enrolment.to_json(),
        }

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from ``to_json`` of an analysis of the same rollout; nothing was seen here yet."""
        self._basis = Basis.from_json(kept["basis"])
        self.restarts, self._now = kept["restarts"], kept["now"]
        self._tool_codes.resume(kept["tool_codes"])
        self._enrolment.resume(kept["enrolment"])

    def knows(self, user: str) -> bool:
        """Tell whether a user was met, as far as this one has been told."""
        return self._enrolment.knows(user)

    def recall(self, *, decided: Iterable[str], earlier: Iterable[str]) -> None:
        """Be told of users whom the analysis that this one goes on from had met."""
        self._enrolment.recall(decided=decided, earlier=earlier)

    def judge(
        self, *, now: float, started_at: float, stage_started_at: float, stage: int, stages: int
    ) -> Verdict:
        """Decide who has matured by now, and return the verdict of the stages up to this one."""
        self.mature(now)
        look = Look(
            now=now,
            started_at=started_at,
            stage_started_at=stage_started_at,
            stage=stage,
            stages=stages,
            restarts=self.restarts,
        )
        verdict = judge(self.policy, self.counts, look)
        why = self._held_back()
        if why is not None and verdict.decision in GROWS:
            return replace(verdict, decision=Decision.CONTINUE, reason=why)
        return verdict

    def _held_back(self) -> str | None:
        """Return why nothing may grow, whatever the evidence: it is not about what would ship."""
        if self._basis.overrides:
            return f"{', '.join(self._basis.overrides)} is overridden: nobody runs the difference"
        codes = len(self._tool_codes.in_use(self._now))
        if codes > 1:
            return f"replicas run {codes} different tool codes; it goes on when one of them is left"
        missing = sum(cohort.missing.control for cohort in self.counts)
        matured = sum(cohort.matured.control for cohort in self.counts)
        if missing > MISSING_AT_MOST * matured:
            return f"{missing} of {matured} users beside the canary have a run without an end"
        return None
