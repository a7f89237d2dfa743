"""Strict JSON: what a document or a field key may hold, and nothing that JSON is not.

Python's parser takes NaN, repeated names and any depth; a configuration takes none of them,
because two readers would understand such a text differently.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 32
MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 8785 section 3.2.2.3)."""


class JsonTextError(ValueError):
    """The text is not strict JSON; the message says why in a few words."""


def parse_json(text: str) -> object:
    """Parse strict JSON: no NaN, no repeated name, at most 32 levels, no lone surrogate, no NUL.

    Raises:
        JsonTextError: the text is anything else.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise JsonTextError(f"not JSON ({error.msg} at character {error.pos})") from error
    except RecursionError as error:
        raise JsonTextError(f"nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:
        raise JsonTextError(str(error)) from error
    check_json(value)
    return value


def check_json(value: object, depth: int = 0) -> None:
    """Raise JsonTextError where a value cannot be written as interoperable JSON."""
    if depth > MAX_DEPTH:
        raise JsonTextError(f"nested deeper than {MAX_DEPTH} levels")
    match value:
        case bool() | None:
            return
        case str():
            check_text(value)
        case int():
            if abs(value) > MAX_INTEGER:
                raise JsonTextError("an integer beyond 2^53-1 is not exact everywhere")
        case float():
            if not math.isfinite(value):
                raise JsonTextError("a number must be finite")
        case dict():
            for name, member in value.items():
                check_text(name)
                check_json(member, depth + 1)
        case list() | tuple():
            for member in value:
                check_json(member, depth + 1)
        case _:
            raise JsonTextError(f"{type(value).__name__} is no JSON value")


def check_text(text: str) -> None:
    """Raise JsonTextError for text that is not valid Unicode or holds a NUL."""
    if "\0" in text:
        raise JsonTextError("holds a NUL character, which PostgreSQL and providers refuse")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise JsonTextError("holds a lone surrogate, which is not valid Unicode") from error


def _refuse_constant(name: str) -> NoReturn:
    raise JsonTextError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise JsonTextError(f"{twice[:40]!r} stands twice in one object")
    return value
