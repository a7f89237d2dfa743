"""Whether the arms are as large as they were meant to be: else no other number can be trusted.

A sequential multinomial test with a conjugate prior around the expected share (Lindon, Malek,
arXiv 2011.03567), a factor for each cohort. Asked of enrolled users, and of matured users who
lack an outcome.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import lgamma, log
from typing import Final

from retunable.rollout.tally import Arms

PRIOR_USERS: Final = 100.0
"""How strongly the prior holds to the expected share, as if so many users had been seen."""


def log_imbalance(cohorts: Iterable[tuple[float, Arms]]) -> float:
    """Return log E, the evidence against the expected shares (w, counts) of some cohorts."""
    return sum(_of_cohort(share, arms) for share, arms in cohorts)


def _of_cohort(share: float, arms: Arms) -> float:
    canary, control = PRIOR_USERS * share, PRIOR_USERS * (1 - share)
    found = _log_beta(canary + arms.canary, control + arms.control) - _log_beta(canary, control)
    return found - arms.canary * log(share) - arms.control * log(1 - share)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
