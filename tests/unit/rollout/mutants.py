"""Five ways in which rollouts are judged by hand, each wrong; and the package's own, as it is."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

from retunable.config.stages import Cohort
from retunable.rollout.analysis import Analysis, Basis
from retunable.rollout.enrolment import Enrolment, Run, User
from retunable.rollout.events import Event, Exposure, Outcome, Rating
from retunable.rollout.metrics import Metric
from retunable.rollout.tally import CohortCounts
from retunable.rollout.verdict import Decision, Look, judge
from tests.unit.rollout.worlds import POLICY, TIMEOUT, WINDOW

BASIS = Basis(stable_checksum="s", canary_checksum="c", flags="f", tools=None, overrides=())


class AsShipped:
    """The package's own judgement."""

    def __init__(self, cohorts: tuple[Cohort, ...]) -> None:
        self._analysis = Analysis(POLICY, cohorts, BASIS)

    def see(self, event: Event) -> None:
        self._analysis.see(event)

    def decide(self, *, now: float, stage: int) -> Decision:
        return self._analysis.judge(
            now=now, started_at=0.0, stage_started_at=0.0, stage=stage, stages=2
        ).decision


class _Mutant:
    """The parts of a judgement, for one of them to be exchanged."""

    enrolment: type[Enrolment] = Enrolment
    window_seconds: float = WINDOW

    def __init__(self, cohorts: tuple[Cohort, ...]) -> None:
        self._enrolment = self.enrolment(
            cohorts, window_seconds=self.window_seconds, run_timeout_seconds=TIMEOUT
        )

    def see(self, event: Event) -> None:
        self._enrolment.see(event)

    def decide(self, *, now: float, stage: int) -> Decision:
        self._enrolment.mature(now)
        return self.judge(self._enrolment.tally.counts(), now=now, stage=stage)

    def judge(self, counts: tuple[CohortCounts, ...], *, now: float, stage: int) -> Decision:
        at = Look(now=now, started_at=0.0, stage_started_at=0.0, stage=stage, stages=2)
        return judge(POLICY, counts, at).decision


class PerRequest(_Mutant):
    """Counts requests: every run is a user of its own."""

    def see(self, event: Event) -> None:
        match event:
            case Exposure():
                super().see(replace(event, user=event.run))
            case Outcome(exposure=told) | Rating(exposure=told):
                super().see(replace(event, exposure=replace(told, user=told.run)))


class CumulatedUsers(_Mutant):
    """Counts "a user with an error" from the beginning until now, however long that is."""

    window_seconds = 5 * 86_400.0


class RunningShare(_Mutant):
    """Takes the canary's share of now for all that ever happened."""

    def judge(self, counts: tuple[CohortCounts, ...], *, now: float, stage: int) -> Decision:
        share = counts[stage].canary_share
        # The sizes of the arms are left out: they would give this one away at once.
        same = tuple(
            replace(cohort, canary_share=share, enrolled=type(cohort.enrolled)())
            for cohort in counts
        )
        return super().judge(same, now=now, stage=stage)


class _FinishedEnrolment(Enrolment):
    def _decide(self, user: User) -> None:
        ended = {name: run for name, run in user.runs.items() if _has_ended(run)}
        if ended:
            super()._decide(replace_runs(user, ended))


class FinishedRunsOnly(_Mutant):
    """Leaves out the runs that have not ended."""

    enrolment = _FinishedEnrolment


class FixedHorizon(_Mutant):
    """Tests two rates at every look as if it were the only one: z above 2.58, 0.5 %."""

    def judge(self, counts: tuple[CohortCounts, ...], *, now: float, stage: int) -> Decision:
        del now, stage
        bad = [cohort.bad_users(Metric.ERROR) for cohort in counts]
        users = [cohort.matured for cohort in counts]
        a, b = sum(arms.canary for arms in bad), sum(arms.control for arms in bad)
        n = max(sum(arms.canary for arms in users), 1)
        m = max(sum(arms.control for arms in users), 1)
        pooled = (a + b) / (n + m)
        error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        worse = error > 0 and (a / n - b / m) / error > 2.58
        return Decision.ROLL_BACK if worse else Decision.CONTINUE


def _has_ended(run: Run) -> bool:
    return run.bad is not None


def replace_runs(user: User, runs: dict[str, Run]) -> User:
    """Return a user with other runs."""
    return replace(user, runs=runs)
