"""How many users a rollout needs, and whether they come before its deadline: an estimate.

The evidence grows per user by the mean of its logarithm for a canary that equals stable; what is
needed over that growth is about the median number of users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, log, log1p
from typing import assert_never

from retunable.config.split import BUCKETS
from retunable.config.stages import Cohort
from retunable.rollout.margin import BETS
from retunable.rollout.metrics import Metric
from retunable.rollout.policy import DAY_SECONDS, Classical, Judged, Policy, Sequential
from retunable.rollout.ratio import DOWN, canary_probability


@dataclass(frozen=True, slots=True)
class Estimate:
    """Users of both arms that must mature, and when that is done; infinite where never."""

    users: float
    seconds: float

    def fits(self, policy: Policy) -> bool:
        """Tell whether the rollout can end before its deadline."""
        return self.seconds <= policy.pace.deadline_seconds


def estimate(
    policy: Policy,
    cohorts: Sequence[Cohort],
    *,
    bad_rates: Mapping[Metric, float],
    users_per_day: float,
) -> Estimate:
    """Estimate a healthy rollout from stable's bad rates and its users of the last week.

    ``users_per_day`` are different users, new to the rollout, of all buckets.
    """
    if not cohorts:
        return Estimate(inf, inf)
    share = sum(len(c.canary) for c in cohorts) / sum(_width(c) for c in cohorts)
    needed = users_needed(policy, share=share, bad_rates=bad_rates)
    if needed == inf:
        return Estimate(inf, inf)
    users = float(ceil(needed))
    return Estimate(users, _seconds(policy, cohorts, users, users_per_day))


def users_needed(policy: Policy, *, share: float, bad_rates: Mapping[Metric, float]) -> float:
    """Return the users of both arms needed where the canary's share of them is ``share``."""
    match policy:
        case Sequential():
            least = policy.pace.canary_users / share
            each = (_needed(policy, one, share, bad_rates) for one in policy.judged)
            return max(least, *each)
        case Classical():
            return policy.minimum_users / min(share, 1 - share)
        case _ as unreachable:
            assert_never(unreachable)


def _needed(
    policy: Sequential, judged: Judged, share: float, bad_rates: Mapping[Metric, float]
) -> float:
    rate = bad_rates.get(judged.metric, 0.0)
    if judged.margin is None:
        growth = rate * max(_growth(q, policy.worst_ratio, share) for q in DOWN)
        wanted = log(policy.promote_at * len(DOWN))
    else:
        each = (_margin_growth(bet, judged.margin, rate) for bet in BETS)
        growth = min(share, 1 - share) * max(each)
        wanted = log(policy.promote_at * len(BETS))
    return wanted / growth if growth > 0 else inf


def _growth(alternative: float, bound: float, share: float) -> float:
    """Return the mean growth of log E per bad user at a ratio of 1."""
    one, other = canary_probability(alternative, share), canary_probability(bound, share)
    return share * log(one / other) + (1 - share) * log((1 - one) / (1 - other))


def _margin_growth(bet: float, margin: float, rate: float) -> float:
    """Return the mean growth of log E per pair where both arms are bad at one rate."""
    discordant = rate * (1 - rate)
    return (
        discordant * log(1 - bet * (1 - margin))
        + discordant * log1p(bet * (1 + margin))
        + (1 - 2 * discordant) * log1p(bet * margin)
    )


def _seconds(
    policy: Policy, cohorts: Sequence[Cohort], users: float, users_per_day: float
) -> float:
    """Return how long the stages take: each its time and users, the last what is left."""
    pace, seconds, enrolled = policy.pace, 0.0, 0.0
    width = 0
    for number, cohort in enumerate(cohorts):
        width += _width(cohort)
        per_second = users_per_day * width / BUCKETS / DAY_SECONDS
        if per_second <= 0:
            return inf
        last = number == len(cohorts) - 1
        share = len(cohort.canary) / BUCKETS * users_per_day / DAY_SECONDS
        stays = max(pace.stage_seconds, pace.stage_users / share)
        if last:
            stays = max(stays, (users - enrolled) / per_second)
        seconds += stays
        enrolled += stays * per_second
    return seconds + pace.window_seconds + pace.run_timeout_seconds


def _width(cohort: Cohort) -> int:
    return len(cohort.canary) + len(cohort.control)
