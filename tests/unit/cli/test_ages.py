"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from retunable.cli.ages import age, duration, moment
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


@pytest.mark.parametrize("text", ["5300w", "999999999w", "999999999d"])
def test_a_duration_that_leads_out_of_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(Stop, match="longer than a hundred years"):
        duration(text)
    with pytest.raises(Stop, match="longer than a hundred years"):
        moment(text, NOW)


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (59, "59 s"), (3 * 3600, "3 h")])
def test_an_age_is_a_number_and_its_largest_unit(seconds: float, said: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == said
