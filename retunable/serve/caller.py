"""On whose behalf a run is: read from what a gateway sets beside the request, never from its body.

Each face reads its headers or metadata as text; what the text means is decided here. gRPC's
metadata is ASCII, so a user may be written as RFC 8187 does: ``UTF-8''Zo%C3%AB``. A name of its own
for that would be one more that a gateway has to strip from what comes from outside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypedDict
from urllib.parse import unquote

from retunable.config.split import LONGEST_ID_BYTES, is_usable

USER_NAME: Final = "Retunable-User"
ATTRIBUTES_NAME: Final = "Retunable-Attributes"
ENCODED: Final = "UTF-8''"
LONGEST_USER_TEXT: Final = len(ENCODED) + 3 * LONGEST_ID_BYTES
"""As sent: a byte is up to three characters of its encoding."""

_PERCENT_ENCODED: Final = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")


class BadCaller(ValueError):
    """What a gateway set cannot be read; the message says what to send instead."""


class Asked(TypedDict, total=False):
    """What a face gives to ``run`` and ``begin`` beside the message."""

    conversation_id: str | None
    user_id: str | None
    attributes: Mapping[str, str] | None
    run_id: str | None


@dataclass(frozen=True, slots=True)
class Caller:
    """The user that a run is for, and what flags and rollouts may look at."""

    user_id: str | None = None
    attributes: Mapping[str, str] | None = None

    @classmethod
    def of(cls, *, user: str | None, attributes: str | None) -> Caller:
        """Read the two texts.

        Raises:
            BadCaller: the user is no text of the right length, or the attributes are no JSON
                object of strings.
        """
        name = None if user is None else _user(user)
        return cls(name, None if attributes is None else _attributes(attributes))

    def asks(self, *, conversation_id: str | None, run_id: str | None) -> Asked:
        """Return what a run is asked with on this caller's behalf."""
        return Asked(
            conversation_id=conversation_id,
            user_id=self.user_id,
            attributes=self.attributes,
            run_id=run_id,
        )


def _user(text: str) -> str:
    user = _decoded(text[len(ENCODED) :]) if text.upper().startswith(ENCODED) else text
    if not is_usable(user):
        raise BadCaller(
            f"{USER_NAME} has 1 to {LONGEST_ID_BYTES} bytes of UTF-8; leave it out for a caller "
            "without a user"
        )
    if any(character < " " or character == "\x7f" for character in user):
        raise BadCaller(f"{USER_NAME} must not have control characters")
    return user


def _decoded(text: str) -> str:
    try:
        if _PERCENT_ENCODED.fullmatch(text):
            return unquote(text, errors="strict")
    except UnicodeDecodeError:
        pass
    raise BadCaller(f"{USER_NAME} after {ENCODED} must be UTF-8 in percent-encoding, like Zo%C3%AB")


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
