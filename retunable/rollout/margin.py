"""Evidence that the canary's bad rate is not above stable's by an absolute margin.

For metrics that are too rare for a ratio: without a single bad user it still grows. Each matched
pair bets a part of the capital that the canary's user is no worse than the margin allows; the
mean capital over bets fixed beforehand is a test supermartingale where the excess is at least
the margin (Waudby-Smith, Ramdas, arXiv 2010.09686: betting, diversified over constant bets).
"""

from __future__ import annotations

from math import log, log1p
from typing import Final

from retunable.rollout.ratio import log_mean
from retunable.rollout.tally import Pairs

BETS: Final = (1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32)
"""The parts of the capital; below 1 / (1 - margin), so that none is ever lost whole."""

MARGIN: Final = 0.005


def log_within_margin(pairs: Pairs, margin: float = MARGIN) -> float:
    """Return log E, the evidence against an excess of bad users of at least ``margin``.

    A pair multiplies the capital of bet λ by 1 + λ·(margin - d), where d is 1 for a bad user on
    the canary alone, -1 on the control alone, and 0 where both are alike.
    """
    return log_mean(
        [
            pairs.worse * log(1 - bet * (1 - margin))
            + pairs.better * log1p(bet * (1 + margin))
            + pairs.alike * log1p(bet * margin)
            for bet in BETS
        ]
    )
