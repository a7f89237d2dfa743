"""Who falls into a share: the published vectors, and that a split is fair, apart and only grows."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from retunable.config.split import (
    BUCKETS,
    Unit,
    bucket_of,
    buckets_of_percent,
    edge_of,
    is_usable,
    unit_of,
)

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("split_vectors.json").read_text(encoding="utf-8")
)["vectors"]
USERS = [f"user-{number}" for number in range(100_000)]


def chi_squared(observed: Counter[Any], cells: int) -> float:
    expected = observed.total() / cells
    return sum((observed[cell] - expected) ** 2 for cell in range(cells)) / expected


@pytest.fixture(scope="module")
def buckets() -> list[int]:
    return [bucket_of("salt-a", user) for user in USERS]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: ascii(vector["id"])[:30])
def test_a_bucket_is_as_published(vector: dict[str, Any]) -> None:
    assert bucket_of(vector["salt"], vector["id"]) == vector["bucket"]


def test_100_000_users_are_spread_evenly(buckets: list[int]) -> None:
    # 99 degrees of freedom: 1 split in a million is above 174; the users here are fixed.
    assert chi_squared(Counter(bucket // 100 for bucket in buckets), 100) < 174


def test_two_salts_split_the_same_users_independently(buckets: list[int]) -> None:
    other = [bucket_of("salt-b", user) for user in USERS]
    cells = Counter(a // 1000 * 10 + b // 1000 for a, b in zip(buckets, other, strict=True))

    assert chi_squared(cells, 100) < 174


def test_a_share_that_grows_never_loses_a_user(buckets: list[int]) -> None:
    shares = [buckets_of_percent(percent) or 0 for percent in (0.01, 0.1, 1, 5, 25, 50, 100)]
    inside = [{u for u, b in zip(USERS, buckets, strict=True) if b < share} for share in shares]

    assert all(small < large for small, large in itertools.pairwise(inside))
    assert len(inside[-1]) == len(USERS)


def test_a_share_holds_as_many_users_as_it_says(buckets: list[int]) -> None:
    # Five standard deviations of a binomial of 100,000 at 1 %: 157.
    assert abs(sum(bucket < 100 for bucket in buckets) - 1000) < 157


@given(st.integers(0, BUCKETS))
def test_every_hundredth_of_a_percent_is_a_step(step: int) -> None:
    assert buckets_of_percent(step / 100) == step


@pytest.mark.parametrize("percent", [-0.01, 100.01, 0.001, 33.333, True, "5", None, float("nan")])
def test_what_is_no_step_is_no_percent(percent: object) -> None:
    assert buckets_of_percent(percent) is None


def test_an_id_is_its_exact_bytes() -> None:
    assert bucket_of("r-1", "Zo\u00eb") != bucket_of("r-1", "Zoe\u0308")


@pytest.mark.parametrize(
    ("unit_id", "usable"),
    [("a", True), ("é" * 128, True), ("é" * 128 + "a", False), ("", False), ("\ud800", False)],
)
def test_an_id_has_1_to_256_bytes_of_utf8(unit_id: str, usable: bool) -> None:
    assert is_usable(unit_id) is usable


def test_without_a_user_the_conversation_decides() -> None:
    assert unit_of(None, "c1") == Unit("conversation", "c1")
    assert unit_of("u1", "c1") == Unit("user", "u1")
    assert unit_of(None, None) is None


def test_an_unusable_user_id_is_not_replaced_by_the_conversation() -> None:
    assert unit_of("x" * 257, "c1") is None


@given(st.integers(0, BUCKETS - 1), st.integers(-2, 2))
def test_a_hash_lies_below_the_edge_of_just_the_shares_that_its_bucket_is_in(
    buckets: int, beside: int
) -> None:
    first_outside = -(-(buckets << 64) // BUCKETS)
    begins = max(first_outside + beside, 0)
    digest = begins.to_bytes(8) + b"\xff" * 24
    assert (digest < edge_of(buckets)) == (begins * BUCKETS >> 64 < buckets)
