"""Times as the databases keep them: UTC, PostgreSQL to the microsecond, SQLite to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
END: Final = datetime(9999, 12, 31, tzinfo=UTC)


def moment(value: datetime | str) -> datetime:
    """Return what a database gave as a time in UTC."""
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return value.astimezone(UTC)


def sqlite_text(value: datetime) -> str:
    """Return a time as SQLite's own ``%Y-%m-%dT%H:%M:%fZ``, whose order is that of the text."""
    utc = value.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z".zfill(24)


def stamp(value: datetime) -> str:
    """Return a time as audit hashes and envelopes write it: UTC with all six digits."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
