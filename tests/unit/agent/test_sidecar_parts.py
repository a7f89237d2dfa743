"""Which part a run misses, by its name."""

from __future__ import annotations

from typing import Any

import pytest

from retunable.agent.sidecar_parts import SidecarParts

ALL: dict[str, Any] = {
    "placement": True,
    "scheduler": True,
    "state_store": "statestore",
    "workers": 1,
}


def test_nothing_is_missing_where_everything_is_there() -> None:
    assert SidecarParts(**ALL).missing() is None


@pytest.mark.parametrize(
    ("lacks", "part"),
    [
        ({"state_store": None}, "state store"),
        ({"placement": False}, "placement"),
        ({"scheduler": False}, "scheduler"),
        ({"workers": 0}, "sidecar"),
    ],
)
def test_the_missing_part_is_named(lacks: dict[str, Any], part: str) -> None:
    missing = SidecarParts(**ALL | lacks).missing()
    assert missing is not None
    assert missing.part == part
