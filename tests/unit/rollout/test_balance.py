"""Arms of the wrong size are noticed, and arms of the right size are not, however often one looks."""

from __future__ import annotations

from fractions import Fraction
from math import comb, exp, log

import pytest

from retunable.rollout.balance import log_imbalance
from retunable.rollout.tally import Arms
from tests.unit.rollout import oracle


def test_a_split_of_45_to_55_is_noticed_within_5_000_users() -> None:
    assert log_imbalance([(0.5, Arms(2250, 2750))]) >= log(1000)
    assert log_imbalance([(0.5, Arms(2500, 2500))]) < 0


@pytest.mark.parametrize("share", [0.5, 1 / 11])
def test_evidence_is_1_on_average_where_the_split_is_right(share: float) -> None:
    expected = sum(
        comb(40, canary)
        * share**canary
        * (1 - share) ** (40 - canary)
        * exp(log_imbalance([(share, Arms(canary, 40 - canary))]))
        for canary in range(41)
    )
    assert expected == pytest.approx(1)


def test_a_right_split_is_ever_called_wrong_with_at_most_alpha() -> None:
    chance = oracle.crossing_probability(
        lambda a, b: log_imbalance([(0.5, Arms(a, b))]) >= log(20),
        probability=Fraction(1, 2),
        most=120,
    )
    assert 0 < chance <= Fraction(1, 20)


def test_cohorts_with_other_shares_are_judged_each_by_its_own() -> None:
    assert log_imbalance([(0.25, Arms(250, 750)), (0.5, Arms(500, 500))]) < 0
    assert log_imbalance([(0.5, Arms(250, 750)), (0.25, Arms(500, 500))]) > log(1000)
