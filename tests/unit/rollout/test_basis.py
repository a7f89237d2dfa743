"""What a rollout compares: one tool code, with nothing that hides the difference; else nothing grows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retunable.rollout.analysis import Analysis, Basis
from retunable.rollout.tally import Arms
from retunable.rollout.verdict import Decision, Verdict
from tests.unit.rollout.worlds import COHORTS, POLICY, TIMEOUT, WINDOW, both_arms, outcome

BASIS = Basis(stable_checksum="s", canary_checksum="c", flags="f", tools=None, overrides=())
GONE = WINDOW + TIMEOUT
USERS = 400


def analysis() -> Analysis:
    """One that users of the first code would have grow."""
    followed = Analysis(POLICY, COHORTS, BASIS)
    for arm in ("canary", "control"):
        for run in both_arms(USERS, USERS // 2, arm):
            followed.see(replace(run, exposure=replace(run.exposure, tool_code="old")))
    return followed


def verdict(followed: Analysis, now: float) -> Verdict:
    return followed.judge(now=now, started_at=0.0, stage_started_at=0.0, stage=0, stages=2)


def test_the_first_run_says_what_is_compared() -> None:
    followed = analysis()
    assert followed.basis.tools == "old"
    assert verdict(followed, GONE + 1).decision is Decision.GROW


def test_a_run_on_other_tools_counts_nothing() -> None:
    followed = analysis()
    followed.see(outcome("another", tool_code="new"))
    followed.mature(GONE)
    assert followed.counts[0].enrolled == Arms(USERS, USERS)


def test_while_runs_begin_on_two_codes_nothing_grows() -> None:
    followed = analysis()
    for code, start in (("old", 100.0), ("new", 101.0)):
        followed.see(outcome(f"late-{code}", tool_code=code, started_at=start))

    said = verdict(followed, GONE + 50)
    assert (said.decision, followed.tools_in_use()) == (Decision.CONTINUE, "old")
    assert "2 different tool codes" in said.reason
    assert verdict(followed, GONE + 200).decision is Decision.GROW


def test_a_worse_canary_goes_back_while_runs_begin_on_two_codes() -> None:
    followed = analysis()
    for code, start in (("old", 100.0), ("new", 101.0)):
        followed.see(outcome(f"late-{code}", tool_code=code, started_at=start))
    for run in (*both_arms(200, 200, "canary"), *both_arms(200, 0, "control")):
        exposure = replace(run.exposure, user=f"{run.exposure.user} too", tool_code="old")
        followed.see(replace(run, exposure=exposure))

    assert verdict(followed, GONE + 50).decision is Decision.ROLL_BACK


@pytest.mark.parametrize(("now", "tools"), [(GONE, "old"), (GONE + 1, "new")])
def test_once_only_the_new_code_is_in_use_it_is_what_to_compare(now: float, tools: str) -> None:
    followed = analysis()
    followed.see(outcome("late", tool_code="new", started_at=100.0))
    followed.mature(now)
    assert followed.tools_in_use() == tools


def test_a_clock_that_is_ahead_keeps_no_code_in_use() -> None:
    followed = analysis()
    followed.mature(50.0)
    followed.see(outcome("ahead", tool_code="new", started_at=1e9))
    followed.mature(GONE + 200)
    assert followed.tools_in_use() == "old"


def test_whoever_met_other_tools_is_not_enrolled_once_these_are_compared() -> None:
    """A user whom a bad canary drove away during the deployment must not be missing on one side."""
    followed = analysis()
    followed.see(outcome("met", tool_code="new", started_at=100.0))
    followed.rebase(replace(BASIS, tools="new"))
    for user in ("met", "fresh"):
        followed.see(outcome(user, tool_code="new", run=f"again-{user}", started_at=2_000.0))
    assert followed.counts[0].enrolled == Arms(1, 0)


def test_while_an_override_hides_the_difference_nothing_grows() -> None:
    """Else a canary that nobody ran would be proven healthy, and ship when the override ends."""
    followed = analysis()
    followed.rebase(replace(BASIS, overrides=("role",)))
    for arm in ("canary", "control"):
        for run in both_arms(USERS, USERS // 2, arm):
            exposure = replace(run.exposure, user=f"{run.exposure.user} again")
            followed.see(replace(run, exposure=exposure))

    said = verdict(followed, GONE + 1)
    assert said.decision is Decision.CONTINUE
    assert "role is overridden" in said.reason


@pytest.mark.parametrize(("ended", "decision"), [(0.85, "continue"), (0.95, "grow")])
def test_where_ends_of_runs_are_missing_on_both_sides_nothing_grows(
    ended: float, decision: str
) -> None:
    """Outcomes that never come make every user bad, on both sides alike: a ratio of 1, proven."""
    followed = Analysis(POLICY, COHORTS, BASIS)
    for arm in ("canary", "control"):
        for number, run in enumerate(both_arms(USERS, 0, arm)):
            followed.see(run if number < ended * USERS else run.exposure)

    assert verdict(followed, GONE + 1).decision == Decision(decision)
