"""What the counts prove of each metric, beside what a policy asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from retunable.rollout.margin import log_within_margin
from retunable.rollout.metrics import TESTED, Metric
from retunable.rollout.policy import Sequential, share_of_alpha
from retunable.rollout.ratio import (
    DOWN,
    BadUsers,
    Interval,
    interval,
    log_evidence,
    log_no_worse_than,
    log_worse,
)
from retunable.rollout.tally import Arms, CohortCounts, Pairs

GROWTH_RATIO: Final = 3.0
GROWTH_ALPHA: Final = 0.05
SHOWN_ALPHA: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEvidence:
    """One metric: its bad users, and the logarithms of evidence and of what is asked for.

    ``no_worse`` is None for a metric that is not judged, ``not_much_worse`` (a ratio of 3 is
    excluded) for one that is not judged by ratio. Where it does not roll back, being worse is
    an alarm only.
    """

    metric: Metric
    bad: Arms
    worse: float
    worse_needed: float
    rolls_back: bool
    no_worse: float | None
    no_worse_needed: float
    not_much_worse: float | None
    ratio: Interval

    @property
    def is_worse(self) -> bool:
        """Whether it is proven that the canary is worse."""
        return self.worse >= self.worse_needed

    @property
    def is_no_worse(self) -> bool:
        """Whether it is proven that the canary is within the bound, where that is judged."""
        return self.no_worse is None or self.no_worse >= self.no_worse_needed

    @property
    def may_grow(self) -> bool:
        """Whether it is excluded that the canary is much worse, where that is judged."""
        return self.not_much_worse is None or self.not_much_worse >= -log(GROWTH_ALPHA)


def weigh(
    policy: Sequential, counts: Sequence[CohortCounts], *, restarts: int = 0
) -> tuple[MetricEvidence, ...]:
    """Return the evidence of every metric, the alarm last."""
    return tuple(_weigh(policy, counts, metric, share_of_alpha(restarts)) for metric in Metric)


def _weigh(
    policy: Sequential, counts: Sequence[CohortCounts], metric: Metric, share: float
) -> MetricEvidence:
    bad = bad_users(counts, metric)
    judged = next((one for one in policy.judged if one.metric is metric), None)
    by_ratio = judged is not None and judged.margin is None
    no_worse = None
    if by_ratio:
        no_worse = log_no_worse_than(bad, policy.worst_ratio)
    elif judged is not None and judged.margin is not None:
        pairs = sum((cohort.pairs_of(metric) for cohort in counts), Pairs())
        no_worse = log_within_margin(pairs, judged.margin)
    return MetricEvidence(
        metric=metric,
        bad=Arms(sum(b.canary for b in bad), sum(b.control for b in bad)),
        worse=log_worse(bad),
        worse_needed=log(len(TESTED) / (policy.alpha * share)),
        rolls_back=metric in TESTED,
        no_worse=no_worse,
        no_worse_needed=log(policy.promote_at / share),
        not_much_worse=(
            log_evidence(bad, alternatives=DOWN, bound=GROWTH_RATIO) if by_ratio else None
        ),
        ratio=interval(bad, alpha=SHOWN_ALPHA),
    )


def bad_users(counts: Sequence[CohortCounts], metric: Metric) -> list[BadUsers]:
    """Return the bad users of each cohort by a metric."""
    return [BadUsers(cohort.canary_share, *_both(cohort.bad_users(metric))) for cohort in counts]


def _both(arms: Arms) -> tuple[int, int]:
    return arms.canary, arms.control
