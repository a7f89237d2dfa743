"""One rollout's analysis from beginning to end: events in, a verdict whenever one is asked for.

What it compares is its ``Basis``; when that changes the evidence is discarded, and what is left
of α halves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from retunable.config.stages import Cohort
from retunable.rollout.enrolment import Enrolment
from retunable.rollout.events import Event
from retunable.rollout.metrics import Limits
from retunable.rollout.policy import Policy
from retunable.rollout.tally import CohortCounts
from retunable.rollout.verdict import Look, Verdict, judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What is compared: evidence on one basis says nothing of another.

    ``flags`` and ``tools`` are checksums of the published flags and of the tools' schemas and
    code, ``overrides`` the field keys that mask a field in which the variants differ.
    """

    stable_checksum: str
    canary_checksum: str
    flags: str
    tools: str
    overrides: tuple[str, ...]


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
        self._enrolment = Enrolment(
            cohorts,
            window_seconds=policy.pace.window_seconds,
            run_timeout_seconds=policy.pace.run_timeout_seconds,
            limits=limits,
        )

    @property
    def counts(self) -> tuple[CohortCounts, ...]:
        """The counts of now."""
        return self._enrolment.tally.counts()

    def see(self, event: Event) -> None:
        """Take an event, in whatever order and however often it comes."""
        self._enrolment.see(event)

    def mature(self, now: float) -> None:
        """Decide who has matured by now; what comes later changes nothing of them."""
        self._enrolment.mature(now)

    def rebase(self, basis: Basis) -> bool:
        """Start anew where something else is compared from now on; tell whether that is so."""
        if basis == self._basis:
            return False
        self._basis = basis
        self.restarts += 1
        self._enrolment.restart()
        return True

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
        return judge(self.policy, self.counts, look)
