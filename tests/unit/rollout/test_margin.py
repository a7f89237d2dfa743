"""Evidence for an absolute margin: betting on matched pairs."""

from __future__ import annotations

from fractions import Fraction
from math import exp, log

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from retunable.rollout.margin import BETS, log_within_margin
from retunable.rollout.tally import Pairs
from tests.unit.rollout import oracle

MARGIN = Fraction(1, 200)


@settings(deadline=None)
@given(st.lists(st.sampled_from([-1, 0, 0, 0, 1]), max_size=60))
def test_evidence_is_the_mean_capital_of_bets_made_a_pair_at_a_time(differences: list[int]) -> None:
    pairs = Pairs(differences.count(1), differences.count(-1), differences.count(0))

    expected = log(oracle.within_margin(differences, MARGIN))
    assert log_within_margin(pairs) == pytest.approx(expected, abs=1e-9)


def test_bets_are_those_that_were_declared() -> None:
    assert [Fraction(bet) for bet in BETS] == oracle.BETS


@pytest.mark.parametrize("better", [Fraction(0), Fraction(1, 100), Fraction(1, 4)])
def test_at_the_margin_a_pair_is_a_fair_bet(better: Fraction) -> None:
    worse = better + MARGIN
    alike = 1 - worse - better
    chances = {Pairs(worse=1): worse, Pairs(better=1): better, Pairs(alike=1): alike}
    expected = sum(float(part) * exp(log_within_margin(pairs)) for pairs, part in chances.items())

    assert expected == pytest.approx(1)


def test_a_canary_and_a_stable_without_a_failure_are_proven_alike_in_the_end() -> None:
    assert log_within_margin(Pairs(alike=1500)) < log(1000) <= log_within_margin(Pairs(alike=1800))


def test_a_canary_that_fails_alone_loses_the_evidence_again() -> None:
    assert log_within_margin(Pairs(worse=30, alike=1800)) < 0
