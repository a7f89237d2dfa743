"""How many users a rollout needs, and whether it can end in time."""

from __future__ import annotations

from math import inf

import pytest

from retunable.config.stages import cohorts_of
from retunable.rollout.metrics import Metric
from retunable.rollout.policy import Classical, Judged, Sequential
from retunable.rollout.sizing import estimate, users_needed
from tests.unit.rollout.worlds import COHORTS

POLICY = Sequential()
RATES = {Metric.ERROR: 0.05, Metric.GUARDRAIL: 0.001, Metric.LIMIT: 0.0005}


@pytest.mark.parametrize(
    ("error_rate", "simulated_median"), [(0.05, 9_195), (0.01, 34_815), (0.001, 355_146)]
)
def test_the_estimate_is_near_the_median_of_simulated_rollouts(
    error_rate: float, simulated_median: float
) -> None:
    # The medians are those of bench/README.md.
    needed = users_needed(POLICY, share=0.5, bad_rates=RATES | {Metric.ERROR: error_rate})

    assert needed == pytest.approx(simulated_median, rel=0.3)


def test_errors_that_never_happen_can_never_be_judged_by_ratio() -> None:
    assert users_needed(POLICY, share=0.5, bad_rates={}) == inf


def test_a_margin_is_proven_without_a_single_failure() -> None:
    by_margin = Sequential(judged=(Judged(Metric.ERROR, margin=0.005),))
    assert users_needed(by_margin, share=0.5, bad_rates={}) == pytest.approx(3500, rel=0.1)


def test_at_least_200_canary_users_are_needed() -> None:
    by_margin = Sequential(judged=(Judged(Metric.ERROR, margin=0.5),))
    assert users_needed(by_margin, share=0.5, bad_rates={}) == 400


def test_the_classical_rule_needs_its_minimum_in_the_smaller_arm() -> None:
    assert users_needed(Classical(minimum_users=100), share=0.25, bad_rates={}) == 400


def test_a_rollout_with_enough_users_ends_in_time_and_one_without_does_not() -> None:
    busy = estimate(POLICY, COHORTS, bad_rates=RATES, users_per_day=100_000)
    quiet = estimate(POLICY, COHORTS, bad_rates=RATES, users_per_day=500)

    assert busy.fits(POLICY)
    assert not quiet.fits(POLICY)
    assert busy.users == quiet.users


def test_nobody_to_compare_with_never_ends() -> None:
    none = estimate(POLICY, cohorts_of([6000]), bad_rates=RATES, users_per_day=1000)
    assert (
        none.seconds == estimate(POLICY, COHORTS, bad_rates=RATES, users_per_day=0).seconds == inf
    )


def test_a_ratio_of_errors_that_never_happen_is_never_judged() -> None:
    never = estimate(POLICY, COHORTS, bad_rates={Metric.ERROR: 0.0}, users_per_day=100_000)
    assert (never.users, never.seconds) == (inf, inf)
