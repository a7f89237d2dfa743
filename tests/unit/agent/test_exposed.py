"""Where a caller stood when its run began, by the split alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from retunable.agent.runs.exposed import Exposed, exposed
from retunable.config.resolve import Assignment, VariantReason
from retunable.config.stages import Place, Rollout

ROLLOUT = Rollout(id="r-2", salt="s", stages=(100, 500), stage=1)


def assigned(**changes: Any) -> Assignment:
    standing = Assignment(
        variant="canary",
        reason=VariantReason.IN_STAGE,
        decided_by="user",
        bucket=7,
        place=Place(0, "canary"),
    )
    return replace(standing, **changes)


def pin(rollout: str | None, stage: int | None) -> dict[str, Any]:
    return {"rollout": rollout, "rollout_stage": stage}


def test_a_user_in_the_comparison_is_told_with_its_bucket_arm_and_cohort() -> None:
    told = exposed(assigned(), ROLLOUT, pin=None, tool_code=lambda: "code")
    assert told == Exposed(
        rollout_id="r-2",
        bucket=7,
        arm="canary",
        cohort=0,
        anonymous=False,
        tool_code="code",
    )


def test_without_a_rollout_there_is_no_bucket() -> None:
    told = exposed(
        assigned(bucket=None, place=None, variant="stable"),
        None,
        pin=None,
        tool_code=lambda: "code",
    )
    assert told == Exposed(anonymous=False)


def test_a_conversation_without_a_user_is_anonymous() -> None:
    told = exposed(
        assigned(decided_by="conversation", place=None), ROLLOUT, pin=None, tool_code=lambda: "code"
    )
    assert (told.anonymous, told.bucket, told.cohort) == (True, 7, None)


@pytest.mark.parametrize(
    ("pinned_to", "before"),
    [
        pytest.param(None, False, id="not pinned"),
        pytest.param(pin(None, None), True, id="before any rollout"),
        pytest.param({}, True, id="by a package that did not say"),
        pytest.param(pin("r-1", 1), True, id="in another rollout"),
        pytest.param(pin("r-2", 0), True, id="before its stage"),
        pytest.param(pin("r-2", 1), False, id="at its stage"),
    ],
)
def test_a_run_counts_unless_its_conversation_was_pinned_before_the_cohort_opened(
    pinned_to: dict[str, Any] | None, before: bool
) -> None:
    told = exposed(
        assigned(place=Place(1, "canary")), ROLLOUT, pin=pinned_to, tool_code=lambda: "code"
    )
    assert told.pinned is before


def test_it_is_read_back_and_what_a_later_release_adds_is_left_out() -> None:
    told = exposed(assigned(), ROLLOUT, pin=pin(None, None), tool_code=lambda: "code")
    assert Exposed.from_json(told.to_json() | {"later": 1}) == told
    assert Exposed().to_json() == {}
