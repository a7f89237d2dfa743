"""Times for people: how long ago, how long still, and which moment somebody means. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from retunable.cli.exits import ExitCode, Stop

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST: Final = timedelta(days=36_525)
"""A hundred years: what is longer leads out of the calendar."""

_DURATION = re.compile(r"(\d{1,9})([smhdw])")


def age(then: datetime, now: datetime) -> str:
    """Return how long ago a moment was, in its largest unit, like ``3 h``."""
    seconds = max(0, int((now - then).total_seconds()))
    unit = next((unit for unit in reversed(_UNITS) if seconds >= _UNITS[unit]), "s")
    return f"{seconds // _UNITS[unit]} {unit}"


def duration(text: str) -> timedelta:
    """Read ``90s``, ``15m``, ``1h``, ``2d`` or ``1w``; end the command with the forms."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or match[1] == "0" * len(match[1]):
        raise Stop(f"{text!r} is no duration; write 90s, 15m, 1h, 2d or 1w", ExitCode.USAGE)
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > LONGEST.total_seconds():
        raise Stop(f"{text!r} is longer than a hundred years", ExitCode.USAGE)
    return timedelta(seconds=seconds)


def moment(text: str, now: datetime) -> datetime:
    """Read an ISO time (UTC unless it says otherwise), or how long ago, like ``2h`` or ``2h ago``."""
    span = text.strip().removesuffix(" ago")
    if _DURATION.fullmatch(span):
        return now - duration(span)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Stop(
            f"{text!r} is no time; write 2026-11-21, 2026-11-21T15:00:00Z, or 2h ago",
            ExitCode.USAGE,
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
