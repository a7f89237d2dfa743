"""Who is in the comparison, and what is decided of a user, once."""

from __future__ import annotations

import random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from retunable.config.stages import Arm, Place
from retunable.rollout.enrolment import Enrolment
from retunable.rollout.events import Event, Exposure, Outcome, Rating
from retunable.rollout.metrics import Limits, Metric
from retunable.rollout.tally import Arms, Pairs
from tests.unit.rollout.worlds import COHORTS, TIMEOUT, WINDOW, exposure, outcome

DUE = WINDOW + TIMEOUT


def enrolment(*events: Event, mature: float | None = DUE, **parts: Any) -> Enrolment:
    followed = Enrolment(COHORTS, window_seconds=WINDOW, run_timeout_seconds=TIMEOUT, **parts)
    for event in events:
        followed.see(event)
    if mature is not None:
        followed.mature(mature)
    return followed


def bad(followed: Enrolment, metric: Metric = Metric.ERROR) -> Arms:
    return followed.tally.counts()[0].bad_users(metric)


def test_a_user_with_a_failed_run_is_one_bad_user_however_many_runs_failed() -> None:
    runs = [outcome("u", failed=True, run=f"r{n}", started_at=n) for n in range(30)]
    assert bad(enrolment(*runs)) == Arms(1, 0)


def test_a_user_is_decided_when_the_window_and_the_timeout_have_passed() -> None:
    followed = enrolment(outcome("u", failed=True), mature=DUE - 1)
    assert followed.tally.counts()[0].matured == Arms(0, 0)

    followed.mature(DUE)
    assert followed.tally.counts()[0].matured == Arms(1, 0)


def test_a_run_started_after_the_window_counts_nothing() -> None:
    late = outcome("u", failed=True, run="late", started_at=WINDOW + 1)
    assert bad(enrolment(outcome("u"), late)) == Arms(0, 0)


def test_a_run_started_at_the_end_of_the_window_has_its_timeout_to_end() -> None:
    last = outcome("u", failed=True, run="last", started_at=WINDOW)
    assert bad(enrolment(outcome("u"), last)) == Arms(1, 0)


def test_a_start_without_an_end_is_an_error_and_slow_and_missing() -> None:
    followed = enrolment(exposure("u"))

    assert bad(followed) == bad(followed, Metric.SLOW) == Arms(1, 0)
    assert followed.tally.counts()[0].missing == Arms(1, 0)


def test_an_outcome_whose_exposure_was_lost_enrols_its_user() -> None:
    assert enrolment(outcome("u", "control")).tally.counts()[0].enrolled == Arms(0, 1)


def test_what_arrives_after_the_decision_changes_nothing() -> None:
    followed = enrolment(exposure("u"))
    before = followed.tally.counts()
    for event in (outcome("u"), outcome("u", failed=True, run="another"), exposure("u")):
        followed.see(event)
    followed.mature(10 * DUE)

    assert followed.tally.counts() == before


def test_the_first_end_of_a_run_counts() -> None:
    assert bad(enrolment(outcome("u"), outcome("u", failed=True))) == Arms(0, 0)


def test_an_earlier_run_that_becomes_known_later_moves_the_window() -> None:
    first = outcome("u", run="first", started_at=0.0)
    second = outcome("u", run="second", started_at=500.0)
    third = outcome("u", failed=True, run="third", started_at=900.0)

    assert bad(enrolment(second, third, mature=500 + DUE)) == Arms(1, 0)
    assert bad(enrolment(second, third, first, mature=500 + DUE)) == Arms(0, 0)


def test_a_user_keeps_its_first_place() -> None:
    other = outcome("u", "control", run="other", started_at=1.0)
    assert enrolment(outcome("u"), other).tally.counts()[0].enrolled == Arms(1, 0)


@pytest.mark.parametrize(("judged", "costly"), [(True, 1), (False, 0)])
def test_a_run_without_a_cost_is_costly_only_where_the_cost_decides(
    judged: bool, costly: int
) -> None:
    limits = Limits(costly_above=1, unpriced_is_costly=judged)
    followed = enrolment(outcome("u"), outcome("v", cost=0.5), limits=limits)
    assert bad(followed, Metric.COSTLY) == Arms(costly, 0)


def test_slow_and_costly_are_asked_of_the_first_run_alone() -> None:
    limits = Limits(slow_above_seconds=2, costly_above=1)
    fast = outcome("u", latency_seconds=1)
    slow = outcome("u", run="second", started_at=1.0, latency_seconds=9, cost=9)

    assert bad(enrolment(fast, slow, limits=limits), Metric.SLOW) == Arms(0, 0)
    first = outcome("v", latency_seconds=9, cost=9)
    assert bad(enrolment(first, limits=limits), Metric.SLOW) == Arms(1, 0)
    assert bad(enrolment(first, limits=limits), Metric.COSTLY) == Arms(1, 0)


def test_each_question_has_its_own_answer() -> None:
    followed = enrolment(outcome("u", guardrail_failures=2), outcome("v", limit_hit=True))

    assert bad(followed, Metric.GUARDRAIL) == bad(followed, Metric.LIMIT) == Arms(1, 0)
    assert bad(followed) == Arms(0, 0)


def test_a_thumbs_down_is_counted_for_its_user() -> None:
    rating = Rating(exposure=exposure("u"), liked=False)
    assert bad(enrolment(outcome("u"), rating), Metric.DISLIKED) == Arms(1, 0)


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (exposure(None), "anonymous"),
        (exposure("u", place=None), "outside"),
        (exposure("u", pinned_before=True), "pinned"),
    ],
)
def test_who_is_not_compared_is_counted_apart_and_once(run: Exposure, why: str) -> None:
    followed = enrolment(run, Outcome(exposure=run, failed=True))

    assert getattr(followed.uncounted, why) == 1
    assert followed.tally.counts()[0].enrolled == Arms(0, 0)


def test_after_a_restart_nobody_is_enrolled_a_second_time() -> None:
    followed = enrolment(outcome("decided"), outcome("waiting", started_at=100.0))
    followed.restart()
    for user in ("decided", "waiting", "new"):
        followed.see(exposure(user, run=f"again-{user}", started_at=1000.0))
        followed.see(outcome(user, run=f"again-{user}", started_at=1000.0))
    followed.mature(1000 + DUE)

    assert followed.tally.counts()[0].matured == Arms(1, 0)
    assert followed.uncounted.enrolled_before_restart == 2


def test_users_are_matched_in_the_order_of_their_enrolment() -> None:
    runs = [
        outcome("a", "canary", failed=True, started_at=1.0),
        outcome("b", "canary", started_at=2.0),
        outcome("c", "control", started_at=3.0),
        outcome("d", "control", failed=True, started_at=4.0),
    ]
    for order in (runs, runs[::-1]):
        followed = enrolment(*order, mature=10 * DUE)
        assert followed.tally.counts()[0].pairs_of(Metric.ERROR) == Pairs(worse=1, better=1)


def test_users_of_unequal_arms_are_matched_with_those_of_their_time() -> None:
    events = [
        *(outcome(f"early-{n}", "control", failed=n < 900, started_at=n) for n in range(1000)),
        outcome("canary", started_at=1000.0),
    ]
    pairs = enrolment(*events, mature=10 * DUE).tally.counts()[0].pairs_of(Metric.ERROR)

    assert pairs == Pairs(alike=1)


users = st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([0.0, 1.0, 400.0, 601.0, 900.0]))


@settings(deadline=None)
@given(
    st.lists(st.tuples(users, st.booleans(), st.booleans()), max_size=25),
    st.integers(0, 2**32),
)
def test_neither_the_order_nor_the_number_of_deliveries_means_anything(
    runs: list[tuple[tuple[str, float], bool, bool]], seed: int
) -> None:
    events: list[Event] = []
    for number, ((user, started_at), failed, ended) in enumerate(runs):
        arm: Arm = "canary" if user < "e" else "control"
        place = Place(0, arm)
        run = exposure(user, run=f"r{number}", place=place, started_at=started_at)
        events += [run, Outcome(exposure=run, failed=failed)] if ended else [run]
    shuffled = [*events, *events]
    random.Random(seed).shuffle(shuffled)

    expected = enrolment(*events, mature=10 * DUE)
    assert enrolment(*shuffled, mature=10 * DUE).tally.counts() == expected.tally.counts()


@pytest.mark.parametrize("first", ["exposure", "outcome"])
def test_a_run_began_when_the_earlier_of_its_events_says(first: str) -> None:
    """An outcome reckons the start back from its end; the clocks of two replicas differ."""
    told: list[Event] = [
        exposure("u", run="r", started_at=WINDOW + 5),
        outcome("u", run="r", started_at=0, failed=True),
    ]
    assert bad(enrolment(*(told if first == "exposure" else told[::-1]))) == Arms(1, 0)


def test_what_an_outage_held_back_is_decided_on_its_end_too() -> None:
    """All of it comes at once, long after: an exposure alone must not be a run without an end."""
    followed = enrolment(mature=10 * DUE)
    followed.see(exposure("u"))
    followed.mature(10 * DUE)
    followed.see(outcome("u"))
    followed.mature(11 * DUE)

    assert followed.tally.counts()[0].matured == Arms(1, 0)
    assert followed.tally.counts()[0].missing == Arms(0, 0)
    assert bad(followed) == Arms(0, 0)
