"""The shapes of what a control plane writes: small checks that name the part that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from retunable.config.jsontext import JsonTextError, check_text
from retunable.config.rejection import Refused
from retunable.config.split import buckets_of_percent


def wrong(part: str, reason: str) -> NoReturn:
    """Raise Refused for a part that has another shape."""
    raise Refused("shape", f"{part} {reason}")


def check_names(
    value: Mapping[str, Any],
    *,
    required: Iterable[str],
    optional: Iterable[str] = (),
    part: str = "the envelope",
) -> None:
    """Raise Refused where an object lacks a name that it needs, or has one that nobody knows."""
    if missing := [name for name in required if name not in value]:
        raise Refused("shape", f"{part} lacks {', '.join(missing)}")
    known = {*required, *optional}
    if unknown := [name for name in value if name not in known]:
        raise Refused("unknown_field", f"{part} has no part {unknown[0][:60]!r}")


def an_object(part: str, value: object) -> dict[str, Any]:
    """Return a JSON object, or raise Refused."""
    if not isinstance(value, dict):
        wrong(part, "must be an object")
    return value


def a_list(part: str, value: object) -> list[Any]:
    """Return a JSON list; an absent one or null is empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        wrong(part, "must be a list")
    return value


def a_text(part: str, value: object, *, longest_bytes: int = 256) -> str:
    """Return a text that is not empty and not longer than an id may be, or raise Refused."""
    if not isinstance(value, str) or not value:
        wrong(part, "must be a text that is not empty")
    try:
        check_text(value)
    except JsonTextError as error:
        wrong(part, str(error))
    if len(value.encode()) > longest_bytes:
        wrong(part, f"must be at most {longest_bytes} bytes")
    return value


def a_bool(part: str, value: object) -> bool:
    """Return true or false, or raise Refused."""
    if not isinstance(value, bool):
        wrong(part, f"must be true or false, got {value!r:.40}")
    return value


def a_whole_number(part: str, value: object, *, lowest: int = 1) -> int:
    """Return an integer from ``lowest`` upwards, or raise Refused."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        wrong(part, f"must be an integer from {lowest} upwards, got {value!r:.40}")
    return value


def some_buckets(part: str, value: object) -> int:
    """Return a percent as its number of buckets, or raise Refused."""
    buckets = buckets_of_percent(value)
    if buckets is None:
        wrong(part, f"must be a percent from 0 to 100 in steps of 0.01, got {value!r:.40}")
    return buckets


def a_time(part: str, value: object) -> float:
    """Return a time of ISO 8601 with its zone as seconds since the epoch, or raise Refused."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        wrong(part, f"must be a time like '2027-01-31T00:00:00Z', got {value!r:.40}")
    return time.timestamp()
