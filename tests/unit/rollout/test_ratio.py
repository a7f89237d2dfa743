"""Evidence on the ratio of bad rates agrees with an oracle and keeps its promises exactly."""

from __future__ import annotations

from fractions import Fraction
from math import comb, exp, log

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from retunable.rollout.ratio import (
    DOWN,
    UP,
    BadUsers,
    interval,
    log_evidence,
    log_no_worse_than,
    log_worse,
)
from tests.unit.rollout import oracle

SHARES = [Fraction(1, 2), Fraction(1, 11), Fraction(2, 3)]
ERRORS = 30
ALL_COUNTS = [(canary, seen - canary) for seen in range(ERRORS + 1) for canary in range(seen + 1)]
share_ids = pytest.mark.parametrize("share", SHARES, ids=str)
bad_users = st.lists(st.tuples(st.sampled_from(SHARES), st.booleans()), max_size=60)


def counted(users: list[oracle.BadUser]) -> list[BadUsers]:
    """What the package sees of users in order: counts by cohort."""
    return [
        BadUsers(
            float(share),
            sum(on_canary for s, on_canary in users if s == share),
            sum(not on_canary for s, on_canary in users if s == share),
        )
        for share in SHARES
    ]


def in_order(share: Fraction, canary: int, control: int) -> list[oracle.BadUser]:
    return [(share, True)] * canary + [(share, False)] * control


def test_the_alternatives_are_those_that_were_declared() -> None:
    assert list(UP) == [float(ratio) for ratio in oracle.UP]
    assert list(DOWN) == [float(ratio) for ratio in oracle.DOWN]


@settings(deadline=None)
@given(bad_users)
def test_evidence_is_the_brute_force_mixture_over_users_in_order(
    users: list[oracle.BadUser],
) -> None:
    up = oracle.evidence(users, oracle.UP, Fraction(1))
    down = oracle.evidence(users, oracle.DOWN, Fraction(3, 2))

    assert log_worse(counted(users)) == pytest.approx(log(up), abs=1e-9)
    assert log_no_worse_than(counted(users)) == pytest.approx(log(down), abs=1e-9)


@share_ids
def test_it_crosses_exactly_where_the_oracle_does(share: Fraction) -> None:
    for canary, control in ALL_COUNTS:
        users, bad = in_order(share, canary, control), [BadUsers(float(share), canary, control)]
        up = oracle.evidence(users, oracle.UP, Fraction(1)) >= 1000
        down = oracle.evidence(users, oracle.DOWN, Fraction(3, 2)) >= 1000

        assert (log_worse(bad) >= log(1000)) is up
        assert (log_no_worse_than(bad) >= log(1000)) is down


@share_ids
@pytest.mark.parametrize("threshold", [20, 1000])
def test_a_canary_like_stable_is_ever_found_worse_with_at_most_alpha(
    share: Fraction, threshold: int
) -> None:
    chance = oracle.crossing_probability(
        lambda a, b: log_worse([BadUsers(float(share), a, b)]) >= log(threshold),
        probability=share,
        most=ERRORS,
    )
    assert 0 < chance <= Fraction(1, threshold)


@share_ids
def test_a_canary_at_the_bound_is_ever_found_no_worse_with_at_most_alpha(share: Fraction) -> None:
    chance = oracle.crossing_probability(
        lambda a, b: log_no_worse_than([BadUsers(float(share), a, b)]) >= log(3),
        probability=oracle.theta(Fraction(3, 2), share),
        most=ERRORS,
    )
    assert 0 < chance <= Fraction(1, 3)


@share_ids
def test_evidence_against_the_bound_is_1_on_average_at_the_bound(share: Fraction) -> None:
    expected = sum(
        comb(20, canary)
        * float(share) ** canary
        * (1 - float(share)) ** (20 - canary)
        * exp(log_worse([BadUsers(float(share), canary, 20 - canary)]))
        for canary in range(21)
    )
    assert expected == pytest.approx(1)


def test_nothing_bad_proves_nothing() -> None:
    assert log_worse([]) == log_no_worse_than([BadUsers(0.5, 0, 0)]) == 0


@given(st.integers(0, 400), st.integers(0, 400), st.sampled_from([0.01, 0.5, 0.7]))
def test_the_interval_is_what_the_mixture_does_not_exclude(
    canary: int, control: int, share: float
) -> None:
    found = interval([BadUsers(share, canary, control)], alpha=0.05)

    assert found.low < found.high
    if canary and control:
        estimate = canary / control * (1 - share) / share
        assert found.low < estimate < found.high


def test_the_edges_of_the_interval_are_where_the_evidence_reaches_1_over_alpha() -> None:
    bad = [BadUsers(0.5, 40, 30), BadUsers(0.25, 10, 25)]
    found = interval(bad, alpha=0.05)
    both = (0.1, 0.2, 0.35, *DOWN, *UP)

    for edge in (found.low, found.high):
        assert log_evidence(bad, alternatives=both, bound=edge) == pytest.approx(log(20), abs=1e-6)


def test_without_a_bad_user_on_the_canary_the_interval_reaches_down_to_nothing() -> None:
    found = interval([BadUsers(0.5, 0, 50)], alpha=0.05)
    assert (found.low, found.high < 1) == (0, True)
