"""The checks pass on the package, and every wrong way of judging fails one of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.rollout.checks import CHECKS, NewJudgement
from tests.unit.rollout.mutants import (
    AsShipped,
    CumulatedUsers,
    FinishedRunsOnly,
    FixedHorizon,
    PerRequest,
    RunningShare,
)

KILLED_BY: dict[NewJudgement, str] = {
    PerRequest: "one_unlucky_user_is_no_reason_to_roll_back",
    CumulatedUsers: "what_fails_days_later_does_not_excuse_a_bad_canary",
    RunningShare: "every_cohort_is_weighed_with_its_own_share",
    FinishedRunsOnly: "a_hanging_canary_goes_back",
    FixedHorizon: "a_healthy_canary_that_hardly_failed_stays",
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_package_passes(check: Callable[[NewJudgement], None]) -> None:
    check(AsShipped)


@pytest.mark.parametrize("mutant", KILLED_BY, ids=lambda mutant: mutant.__name__)
def test_a_mutant_fails(mutant: NewJudgement) -> None:
    failed = []
    for check in CHECKS:
        try:
            check(mutant)
        except AssertionError:
            failed.append(check.__name__)

    assert KILLED_BY[mutant] in failed
