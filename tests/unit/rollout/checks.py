"""What any judgement of a rollout must get right: told as events in, decisions out.

Each check is run on the package, which passes, and on mutants that judge in the ways people
judge by hand, each of which fails at least one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol

from retunable.config.stages import Arm, Cohort, Place
from retunable.rollout.events import Event, Exposure, Outcome
from retunable.rollout.verdict import Decision
from tests.unit.rollout import oracle
from tests.unit.rollout.worlds import COHORTS, WIDE_COHORTS

DAY = 86_400.0


class Judgement(Protocol):
    """Something that follows a rollout and says what to do."""

    def see(self, event: Event) -> None:
        """Take an event."""

    def decide(self, *, now: float, stage: int) -> Decision:
        """Say what to do now, at a stage of two."""


NewJudgement = Callable[[tuple[Cohort, ...]], Judgement]


@dataclass(frozen=True, slots=True)
class Users:
    """Users of one arm: each makes ``runs`` runs at once; the first ``bad`` users' runs all fail."""

    arm: Arm
    users: int
    bad: int
    cohort: int = 0
    runs: int = 1
    ends: bool = True
    at: float = 0.0
    name: str = "user"

    def events(self) -> Iterable[Event]:
        """Return all that is told of them."""
        for user in range(self.users):
            for run in range(self.runs):
                told = Exposure(
                    run=f"{self.name}-{self.arm}-{self.cohort}-{user}-{self.at}-{run}",
                    user=f"{self.name}-{self.arm}-{self.cohort}-{user}",
                    place=Place(self.cohort, self.arm),
                    started_at=self.at,
                )
                hangs = user < self.bad and not self.ends
                yield told if hangs else Outcome(exposure=told, failed=user < self.bad)


def decided(
    new: NewJudgement,
    *groups: Users,
    cohorts: tuple[Cohort, ...] = COHORTS,
    stage: int = 0,
    now: float = DAY,
) -> Decision:
    """Tell a fresh judgement of some users and return what it decides."""
    judgement = new(cohorts)
    for group in groups:
        for event in group.events():
            judgement.see(event)
    return judgement.decide(now=now, stage=stage)


def one_unlucky_user_is_no_reason_to_roll_back(new: NewJudgement) -> None:
    """A user who fails and tries again a hundred times is one user."""
    unlucky = Users("canary", users=1, bad=1, runs=100, name="unlucky")
    others = (Users("canary", 299, 2, runs=3), Users("control", 300, 3, runs=3))
    assert decided(new, unlucky, *others, stage=1) is not Decision.ROLL_BACK


def what_fails_days_later_does_not_excuse_a_bad_canary(new: NewJudgement) -> None:
    """A canary twice as bad, beside a control that is watched for longer."""
    groups = (
        Users("canary", users=3000, bad=300),
        Users("control", users=3000, bad=150),
        Users("control", users=3000, bad=900, at=5 * DAY),
    )
    assert decided(new, *groups, stage=1, now=6 * DAY) is Decision.ROLL_BACK


def a_hanging_canary_goes_back(new: NewJudgement) -> None:
    """Runs that never end are the worst ones."""
    groups = (Users("canary", 1000, bad=60, ends=False), Users("control", 1000, bad=5))
    assert decided(new, *groups, stage=1) is Decision.ROLL_BACK


def a_healthy_canary_that_hardly_failed_stays(new: NewJudgement) -> None:
    """Differences as chance makes them, at many looks, lead nowhere."""
    for canary, control in ((8, 0), (9, 1), (16, 4), (22, 8)):
        groups = (Users("canary", 300, bad=canary), Users("control", 300, bad=control))
        assert decided(new, *groups) is not Decision.ROLL_BACK, (canary, control)


def every_cohort_is_weighed_with_its_own_share(new: NewJudgement) -> None:
    """A first cohort with three controls to a canary, a second the other way round."""
    share, later = (_share(cohort) for cohort in WIDE_COHORTS)
    for canary, control, more, fewer in ((10, 30, 40, 20), (40, 35, 20, 10), (5, 15, 60, 30)):
        users = [(share, True)] * canary + [(share, False)] * control
        users += [(later, True)] * more + [(later, False)] * fewer
        expected = oracle.evidence(users, oracle.UP, Fraction(1)) >= 1000
        groups = (
            Users("canary", 1000, bad=canary),
            Users("control", 3000, bad=control),
            Users("canary", 3000, bad=more, cohort=1),
            Users("control", 1500, bad=fewer, cohort=1),
        )
        found = decided(new, *groups, cohorts=WIDE_COHORTS, stage=1)
        assert (found is Decision.ROLL_BACK) is expected, (canary, control, more, fewer)


def _share(cohort: Cohort) -> Fraction:
    return Fraction(len(cohort.canary), len(cohort.canary) + len(cohort.control))


def a_rollback_comes_exactly_where_the_oracle_has_it(new: NewJudgement) -> None:
    """Every number of errors up to thirty, in one cohort of equal arms."""
    for errors in range(0, 31, 3):
        for canary in range(errors + 1):
            users = [(Fraction(1, 2), n < canary) for n in range(errors)]
            expected = oracle.evidence(users, oracle.UP, Fraction(1)) >= 1000
            groups = (Users("canary", 60, canary), Users("control", 60, errors - canary))
            found = decided(new, *groups)
            assert (found is Decision.ROLL_BACK) is expected, (canary, errors - canary)


CHECKS: Final = (
    one_unlucky_user_is_no_reason_to_roll_back,
    what_fails_days_later_does_not_excuse_a_bad_canary,
    a_hanging_canary_goes_back,
    a_healthy_canary_that_hardly_failed_stays,
    every_cohort_is_weighed_with_its_own_share,
    a_rollback_comes_exactly_where_the_oracle_has_it,
)
