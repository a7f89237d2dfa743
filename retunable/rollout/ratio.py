"""Evidence on how many times as many users are bad on the canary as on stable.

For a ratio r of bad rates, a bad user is on the canary with probability
θ(r) = r·w / (r·w + 1 - w), where w is the canary's share of the cohort. A likelihood ratio
against a bound of the ratio, averaged over alternatives fixed beforehand, is a test
supermartingale, so that looking at any time costs nothing: Ville 1939; Robbins 1970; Howard,
Ramdas, McAuliffe, Sekhon, arXiv 1810.08240; Turner, Ly, Grünwald, arXiv 2106.02693; Lindon,
Malek, arXiv 2011.03567. All of it is a function of the counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, fsum, inf, log
from typing import Final, NamedTuple

UP: Final = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""The alternatives to "the canary is no worse"."""

DOWN: Final = (0.5, 0.8, 1.0, 1.1, 1.2)
"""The alternatives to "the canary is worse than the margin allows"."""

BOTH: Final = (0.1, 0.2, 0.35, *DOWN, *UP)
"""The alternatives to one exact ratio, for the interval that is shown."""

WORST_RATIO: Final = 1.5
_SEARCHED: Final = 1e4
"""The interval is looked for between 1/10,000 and 10,000."""


class BadUsers(NamedTuple):
    """The bad users of one cohort by arm, and the canary's share w of the cohort."""

    canary_share: float
    canary: int
    control: int


@dataclass(frozen=True, slots=True)
class Interval:
    """The ratios that are not excluded; ``high`` is infinite where nothing bounds it."""

    low: float
    high: float


def canary_probability(ratio: float, canary_share: float) -> float:
    """Return θ(r): how probably a bad user is on the canary."""
    return ratio * canary_share / (ratio * canary_share + 1 - canary_share)


def log_likelihood(bad: Iterable[BadUsers], ratio: float) -> float:
    """Return the logarithm of the probability of the arms of all bad users, given the ratio."""
    return fsum(
        users.canary * log(canary_probability(ratio, users.canary_share))
        + users.control * log(1 - canary_probability(ratio, users.canary_share))
        for users in bad
    )


def log_mean(logs: Sequence[float]) -> float:
    """Return the logarithm of the mean of numbers given by their logarithms."""
    highest = max(logs)
    return highest + log(fsum(exp(one - highest) for one in logs) / len(logs))


def log_evidence(bad: Sequence[BadUsers], *, alternatives: Sequence[float], bound: float) -> float:
    """Return log E: the mean likelihood of the alternatives over that of the bound."""
    likelihoods = [log_likelihood(bad, ratio) for ratio in alternatives]
    return log_mean(likelihoods) - log_likelihood(bad, bound)


def log_worse(bad: Sequence[BadUsers]) -> float:
    """Return log E_up, the evidence against a ratio of at most 1."""
    return log_evidence(bad, alternatives=UP, bound=1)


def log_no_worse_than(bad: Sequence[BadUsers], bound: float = WORST_RATIO) -> float:
    """Return log E_down, the evidence against a ratio of at least ``bound`` (above 1.2)."""
    return log_evidence(bad, alternatives=DOWN, bound=bound)


def interval(bad: Sequence[BadUsers], *, alpha: float) -> Interval:
    """Return {r : mixture E_r < 1/α}, which holds the true ratio at all times at once.

    The log-likelihood is concave in log r, so that what is not excluded is one interval.
    """
    least = log_mean([log_likelihood(bad, ratio) for ratio in BOTH]) + log(alpha)
    canary = sum(users.canary for users in bad)
    control = sum(users.control for users in bad)

    def kept(log_ratio: float) -> bool:
        return log_likelihood(bad, exp(log_ratio)) > least

    peak = _peak(lambda x: log_likelihood(bad, exp(x)))
    edge = log(_SEARCHED)
    low = 0.0 if canary == 0 or kept(-edge) else exp(_crossing(kept, peak, -edge))
    high = inf if control == 0 or kept(edge) else exp(_crossing(kept, peak, edge))
    return Interval(low, high)


def _peak(concave: Callable[[float], float]) -> float:
    low, high = -log(_SEARCHED), log(_SEARCHED)
    for _ in range(80):
        third = (high - low) / 3
        if concave(low + third) < concave(high - third):
            low += third
        else:
            high -= third
    return (low + high) / 2


def _crossing(kept: Callable[[float], bool], inside: float, outside: float) -> float:
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if kept(middle) else (inside, middle)
    return (inside + outside) / 2
