"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from retunable.cli.ages import moment
from retunable.cli.exits import Stop

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2h", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("2h ago", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T08:00:00Z", datetime(2026, 11, 20, 8, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_time_or_how_long_ago(text: str, found: datetime) -> None:
    assert moment(text, NOW) == found


@pytest.mark.parametrize("text", ["yesterday", "2y ago", "ago", ""])
def test_what_is_no_moment_names_the_forms(text: str) -> None:
    with pytest.raises(Stop, match="or 2h ago"):
        moment(text, NOW)
