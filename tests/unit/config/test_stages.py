"""A rollout's stages: who is on the canary, and who is compared with whom."""

from __future__ import annotations

import itertools
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from retunable.config.rejection import Refused
from retunable.config.split import BUCKETS
from retunable.config.stages import Place, Rollout, parse_rollout

ROLLOUT: dict[str, Any] = {
    "id": "r-1",
    "salt": "s-1",
    "stages": [1, 5, 25, 50],
    "stage": 0,
    "control_percent": None,
}
stage_lists = st.lists(st.integers(1, BUCKETS), min_size=1, max_size=6, unique=True).map(
    lambda edges: [edge / 100 for edge in sorted(edges)]
)


def rollout(**parts: Any) -> Rollout:
    read = parse_rollout(ROLLOUT | parts)
    assert read is not None
    return read


def test_a_stage_compares_its_new_canary_users_with_as_many_from_the_other_end() -> None:
    second = rollout().cohorts[1]

    assert (second.canary, second.control) == (range(100, 500), range(9500, 9900))
    assert second.canary_share == 0.5


def test_a_user_of_a_later_stage_has_no_place_yet() -> None:
    assert rollout(stage=0).place(300) is None
    assert rollout(stage=1).place(300) == Place(1, "canary")
    assert rollout(stage=1).place(9600) == Place(1, "control")


def test_a_stage_beyond_half_of_the_users_compares_nobody() -> None:
    grown = rollout(stages=[10, 50, 100], stage=2)

    assert [cohort.stage for cohort in grown.cohorts] == [0, 1]
    assert grown.is_canary(9999)
    assert grown.place(9999) == Place(0, "control")


def test_a_wider_control_pushes_the_later_ones_inwards() -> None:
    first, second, *_ = rollout(control_percent=10).cohorts

    assert (first.control, second.control) == (range(9000, 10000), range(8600, 9000))
    assert first.canary_share == pytest.approx(1 / 11)


@given(stage_lists, st.none() | st.integers(1, BUCKETS))
def test_nobody_is_in_two_cohorts_or_two_arms(stages: list[float], control: int | None) -> None:
    try:
        cohorts = rollout(
            stages=stages, control_percent=None if control is None else control / 100
        ).cohorts
    except Refused:
        return
    ranges = [part for cohort in cohorts for part in (cohort.canary, cohort.control)]
    edges = sorted((part.start, part.stop) for part in ranges)

    assert all(before[1] <= after[0] for before, after in itertools.pairwise(edges))
    assert all(len(part) > 0 for part in ranges)


@given(stage_lists, st.integers(0, BUCKETS - 1))
def test_whoever_is_on_the_canary_stays_while_it_grows(stages: list[float], bucket: int) -> None:
    inside = [rollout(stages=stages, stage=stage).is_canary(bucket) for stage in range(len(stages))]

    assert inside == sorted(inside)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"stages": []}, "grow"),
        ({"stages": [5, 1]}, "grow"),
        ({"stages": [0, 5]}, "grow"),
        ({"stages": [0.001]}, "steps of 0.01"),
        ({"stages": "all"}, "must be a list"),
        ({"stage": 4}, "below 4"),
        ({"stage": -1}, "from 0 upwards"),
        ({"salt": ""}, "rollout.salt"),
        ({"salt": "a\0b"}, "NUL"),
        ({"id": 7}, "rollout.id"),
        ({"control_percent": 0}, "above 0"),
        ({"control_percent": 80}, "without a control"),
        ({"extra": 1}, "'extra'"),
    ],
)
def test_a_rollout_that_cannot_be_run_is_refused(parts: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        rollout(**parts)
