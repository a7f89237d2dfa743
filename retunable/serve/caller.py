"""On whose behalf a run is: read from what a gateway sets beside the request, never from its body.

Each face reads its headers or metadata as text; what the text means is decided here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from retunable.config.split import LONGEST_ID_BYTES, is_usable

USER_NAME: Final = "Retunable-User"
ATTRIBUTES_NAME: Final = "Retunable-Attributes"


class BadCaller(ValueError):
    """What a gateway set cannot be read; the message says what to send instead."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The user that a run is for, and what flags and rollouts may look at."""

    user_id: str | None = None
    attributes: Mapping[str, str] | None = None

    @classmethod
    def of(cls, *, user: str | None, attributes: str | None) -> Caller:
        """Read the two texts; an empty user is none.

        Raises:
            BadCaller: the user is too long, or the attributes are no JSON object of strings.
        """
        if user and not is_usable(user):
            raise BadCaller(f"{USER_NAME} has at most {LONGEST_ID_BYTES} bytes of UTF-8")
        return cls(user or None, None if attributes is None else _attributes(attributes))


def _attributes(text: str) -> dict[str, str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _bad_attributes() from error
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise _bad_attributes()
    if not all(map(_is_text, [*value, *value.values()])):
        raise _bad_attributes()
    return value


def _is_text(value: str) -> bool:
    """Tell whether a string can be stored: JSON may hold half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad_attributes() -> BadCaller:
    return BadCaller(f'{ATTRIBUTES_NAME} must be a JSON object of strings, like {{"plan": "pro"}}')
