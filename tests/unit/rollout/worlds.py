"""One rollout, and the users, counts and looks that the tests give it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from retunable.config.stages import Arm, Cohort, Place, cohorts_of
from retunable.rollout.events import Exposure, Outcome
from retunable.rollout.metrics import Metric
from retunable.rollout.policy import Pace, Sequential
from retunable.rollout.tally import Arms, CohortCounts, Pairs
from retunable.rollout.verdict import Look

STAGES = (1000, 5000)
COHORTS: tuple[Cohort, ...] = cohorts_of(STAGES)
WIDE_COHORTS: tuple[Cohort, ...] = cohorts_of(STAGES, control=3000)
"""The first stage's canary is a quarter of its cohort, the second's two thirds."""

WINDOW, TIMEOUT = 600.0, 60.0
PACE = Pace(window_seconds=WINDOW, run_timeout_seconds=TIMEOUT, stage_seconds=0, stage_users=1)
POLICY = Sequential(pace=PACE)


def exposure(user: str | None, arm: Arm = "canary", **parts: Any) -> Exposure:
    """A run of a user of the first cohort, at time 0."""
    given: dict[str, Any] = {"run": f"run-of-{user}", "place": Place(0, arm), "started_at": 0.0}
    return Exposure(user=user, **(given | parts))


def outcome(
    user: str | None, arm: Arm = "canary", *, failed: bool = False, **parts: Any
) -> Outcome:
    """The end of such a run."""
    own = {"guardrail_failures", "limit_hit", "latency_seconds", "cost"}
    told = {name: parts.pop(name) for name in own & parts.keys()}
    return Outcome(exposure=exposure(user, arm, **parts), failed=failed, **told)


def counts(
    canary_bad: int = 0,
    control_bad: int = 0,
    *,
    share: float = 0.5,
    users: int = 10_000,
    metric: Metric = Metric.ERROR,
    pairs: int | None = None,
    **parts: Any,
) -> CohortCounts:
    """A matured cohort with bad users by one metric and no others."""
    sides = Arms(round(users * share), users - round(users * share))
    alike = Pairs(alike=min(sides.canary, sides.control) if pairs is None else pairs)
    given: dict[str, Any] = {
        "canary_share": share,
        "enrolled": sides,
        "matured": sides,
        "bad": {metric: Arms(canary_bad, control_bad)},
        "pairs": dict.fromkeys(Metric, alike),
    }
    return CohortCounts(**(given | parts))


def look(**parts: Any) -> Look:
    """A look at the last stage, an hour after the start."""
    given: dict[str, Any] = {
        "now": 3600.0,
        "started_at": 0.0,
        "stage_started_at": 0.0,
        "stage": 1,
        "stages": 2,
    }
    return Look(**(given | parts))


def both_arms(users: int, bad: int, arm: Arm) -> Iterable[Outcome]:
    """One run each of some users of an arm, the first of whom fail."""
    return (outcome(f"{arm}-{n}", arm, failed=n < bad) for n in range(users))
