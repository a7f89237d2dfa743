"""What is done with a canary, in the order of harm, and with what reason."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from retunable.errors import ConfigurationError
from retunable.rollout.metrics import Metric
from retunable.rollout.policy import DAY_SECONDS, Classical, Judged, Pace, Sequential
from retunable.rollout.tally import Arms, CohortCounts
from retunable.rollout.verdict import Decision, judge
from tests.unit.rollout.worlds import PACE, POLICY, counts, look

HEALTHY = counts(500, 500, users=40_000)


def decision(
    *cohorts: CohortCounts, policy: Sequential | Classical = POLICY, **at: float
) -> Decision:
    return judge(policy, cohorts, look(**at)).decision


def test_a_proven_worse_canary_is_rolled_back_with_the_metric() -> None:
    verdict = judge(POLICY, [counts(40, 5)], look())

    assert verdict.decision is Decision.ROLL_BACK
    assert "error" in verdict.reason


@pytest.mark.parametrize("metric", [Metric.GUARDRAIL, Metric.LIMIT, Metric.SLOW, Metric.COSTLY])
def test_any_tested_metric_rolls_back(metric: Metric) -> None:
    assert decision(counts(40, 5, metric=metric)) is Decision.ROLL_BACK


def test_thumbs_down_raise_an_alarm_and_nothing_else() -> None:
    verdict = judge(POLICY, [counts(40, 5, metric=Metric.DISLIKED)], look())

    assert verdict.decision is Decision.CONTINUE
    assert verdict.alarms == (Metric.DISLIKED,)


def test_a_canary_with_all_its_evidence_is_promoted_at_the_last_stage() -> None:
    assert decision(HEALTHY) is Decision.PROMOTE
    assert decision(HEALTHY, stage=0) is Decision.GROW


def test_one_judged_metric_without_evidence_holds_a_promotion_up() -> None:
    verdict = judge(POLICY, [counts(500, 500, users=40_000, pairs=100)], look())

    assert verdict.decision is Decision.CONTINUE
    assert "guardrail failure, iteration limit hit" in verdict.reason


def test_a_canary_without_any_failure_is_promoted_by_margins() -> None:
    policy = Sequential(judged=(Judged(Metric.ERROR, margin=0.005),), pace=PACE)
    assert decision(counts(users=4000), policy=policy) is Decision.PROMOTE


def test_fewer_than_200_canary_users_are_never_enough() -> None:
    few = counts(500, 500, matured=Arms(199, 199))
    assert decision(few) is Decision.CONTINUE


def test_inconclusive_at_the_deadline_is_held() -> None:
    assert decision(counts(3, 3), now=7 * DAY_SECONDS) is Decision.HOLD
    assert decision(HEALTHY, now=7 * DAY_SECONDS) is Decision.PROMOTE
    assert decision(counts(40, 5), now=7 * DAY_SECONDS) is Decision.ROLL_BACK


def test_a_stage_waits_for_its_time_and_its_users() -> None:
    policy = Sequential(pace=Pace(stage_seconds=60, stage_users=100))
    few = counts(500, 500, matured=Arms(99, 99))

    assert decision(HEALTHY, policy=policy, stage=0, stage_started_at=3541) is Decision.CONTINUE
    assert decision(HEALTHY, policy=policy, stage=0, stage_started_at=3540) is Decision.GROW
    assert decision(few, policy=policy, stage=0) is Decision.CONTINUE


def test_a_verdict_says_the_same_while_nothing_has_happened() -> None:
    """Whoever watches is shown what has changed, and time alone changes nothing."""
    policy = Sequential(pace=Pace(stage_seconds=60))
    looks = [look(stage=0, stage_started_at=3600, now=3600 + passed) for passed in (1, 59)]
    first, last = (judge(policy, [HEALTHY], one) for one in looks)

    assert first.decision is Decision.CONTINUE
    assert first == last


def test_a_stage_does_not_grow_while_three_times_as_bad_is_possible() -> None:
    assert decision(counts(4, 4), stage=0) is Decision.CONTINUE
    assert decision(counts(20, 20), stage=0) is Decision.GROW


def test_a_stage_that_enrols_nobody_waits_for_its_time_only() -> None:
    assert decision(HEALTHY, stage=2, stages=3) is Decision.PROMOTE


def test_arms_of_the_wrong_size_stop_a_rollout_before_anything_else() -> None:
    verdict = judge(POLICY, [counts(40, 5, enrolled=Arms(4000, 6000))], look())

    assert verdict.decision is Decision.STOP
    assert "sizes" in verdict.reason


def test_outcomes_missing_on_one_arm_stop_a_rollout() -> None:
    verdict = judge(POLICY, [counts(500, 500, users=40_000, missing=Arms(10, 60))], look())

    assert verdict.decision is Decision.STOP
    assert "missing" in verdict.reason


def test_a_canary_that_hangs_is_rolled_back_rather_than_stopped() -> None:
    assert decision(counts(60, 5, missing=Arms(60, 5))) is Decision.ROLL_BACK


def test_each_restart_halves_what_is_left_of_alpha() -> None:
    barely = counts(28, 6)
    needed = [judge(POLICY, [barely], look(restarts=k)).evidence[0] for k in (0, 1, 2)]

    assert [
        round(2 ** ((one.worse_needed - needed[0].worse_needed) / 0.6931471805599453))
        for one in needed
    ] == [1, 2, 4]
    assert [one.no_worse_needed - needed[0].no_worse_needed for one in needed] == [
        one.worse_needed - needed[0].worse_needed for one in needed
    ]


def test_the_alphas_of_all_metrics_add_up_to_that_of_the_policy() -> None:
    evidence = judge(POLICY, [HEALTHY], look()).evidence
    from math import exp

    assert sum(exp(-one.worse_needed) for one in evidence if one.rolls_back) == pytest.approx(0.005)


def test_cohorts_with_other_shares_are_weighed_each_by_its_own() -> None:
    narrow, half = counts(10, 30, share=0.25), counts(20, 20)
    assert judge(POLICY, [narrow, half], look()).evidence[0].worse < 0


def test_the_classical_rule_goes_by_the_rates_alone() -> None:
    policy = Classical(minimum_users=100, pace=PACE)

    assert decision(counts(2, 1, users=400), policy=policy) is Decision.ROLL_BACK
    assert decision(counts(13, 10, users=400), policy=policy) is Decision.CONTINUE
    assert decision(counts(11, 10, users=400), policy=policy) is Decision.PROMOTE
    assert decision(counts(2, 1, users=198), policy=policy) is Decision.CONTINUE


def test_the_classical_rule_on_one_expected_error_rolls_a_healthy_canary_back_in_30_percent() -> (
    None
):
    from math import exp, factorial

    policy = Classical(minimum_users=100, pace=PACE)
    chance = [exp(-1) / factorial(n) for n in range(15)]
    wrong = sum(
        chance[a] * chance[b]
        for a in range(15)
        for b in range(15)
        if decision(counts(a, b, users=400), policy=policy) is Decision.ROLL_BACK
    )
    assert wrong == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(
    "judged",
    [
        (),
        (Judged(Metric.DISLIKED),),
        (Judged(Metric.ERROR),) * 2,
        (Judged(Metric.LIMIT, margin=0),),
    ],
)
def test_a_policy_that_cannot_judge_is_refused(judged: tuple[Judged, ...]) -> None:
    with pytest.raises(ConfigurationError):
        Sequential(judged=judged)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_one_more_bad_user_on_the_canary_never_makes_a_canary_look_better(
    canary: int, control: int, more: int
) -> None:
    order = [Decision.ROLL_BACK, Decision.CONTINUE, Decision.GROW]
    before, after = (
        order.index(decision(counts(n, control), stage=0)) for n in (canary, canary + more)
    )
    assert after <= before
