"""The fields of an agent config: names, store keys, and how their text is read.

Store keys are compatibility data. Ranges live in ``AgentConfig``; this module turns the
text of one field key into the Python value that is checked there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from retunable.config.jsontext import JsonTextError, parse_json

Kind = Literal["text", "texts", "integer", "number", "names", "object"]

# What JSON calls whitespace: float() takes less than strip() removes, and raises on "0\x1f".
_BLANKS = " \t\r\n"
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][+-]?[0-9]{1,3})?"
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name in Python and in documents, its key in the store, its shape."""

    name: str
    key: str
    kind: Kind


FIELDS: Final = (
    Field("role", "agent_role", "text"),
    Field("goal", "agent_goal", "text"),
    Field("instructions", "agent_instructions", "texts"),
    Field("style_guidelines", "agent_style_guidelines", "texts"),
    Field("system_prompt", "agent_system_prompt", "text"),
    Field("model", "llm_model", "text"),
    Field("provider", "llm_provider", "text"),
    Field("temperature", "llm_temperature", "number"),
    Field("max_tokens", "llm_max_tokens", "integer"),
    Field("max_iterations", "max_iterations", "integer"),
    Field("tools", "tools", "names"),
    Field("tool_choice", "tool_choice", "text"),
    Field("guardrails", "guardrails", "object"),
    Field("guardrail_threshold", "guardrail_threshold", "number"),
)
FIELD_BY_NAME: Final = {field.name: field for field in FIELDS}
FIELD_BY_KEY: Final = {field.key: field for field in FIELDS}

# A document may use either name of a field; "tools" and others are the same in both.
_FIELD_BY_ANY_NAME: Final = {**FIELD_BY_KEY, **FIELD_BY_NAME}

SECRET_KEY: Final = "llm_api_key"  # noqa: S105 - a key's name, not a secret
"""The one secret key that is watched, so that whoever sets it is told where it belongs."""

# The same words as in sql/configuration.sql, which refuses them before anything records them.
_SECRET_NAME = re.compile(
    r"(?:^|[^a-z0-9])(?:api_?key|access_?key|secret_?key|private_?key|secret|password|passwd"
    r"|passphrase|token|credentials?)$"
)
_CAMEL = re.compile(r"([a-z0-9])([A-Z])")


class FieldTextError(ValueError):
    """The text of a field key does not have the field's shape."""


def normalise_name(name: str) -> str:
    """Return a document's field name without regard to case and with ``-`` as ``_``."""
    return name.strip().lower().replace("-", "_")


def find_field(name: str) -> Field | None:
    """Return the field that a document means by ``name``, by either of its names."""
    return _FIELD_BY_ANY_NAME.get(normalise_name(name))


def nearest_field(name: str) -> str | None:
    """Return the field name most like ``name``, for an error message."""
    import difflib  # only a typing mistake needs it

    matches = difflib.get_close_matches(normalise_name(name), _FIELD_BY_ANY_NAME, n=1, cutoff=0.5)
    return matches[0] if matches else None


def is_secret_name(name: str) -> bool:
    """Tell whether a field or key of this name would hold a secret."""
    last = _CAMEL.sub(r"\1_\2", name.rsplit("/", 1)[-1])
    return _SECRET_NAME.search(normalise_name(last)) is not None


def parse_field_text(field: Field, text: str) -> object:
    """Turn the text of a field key into a Python value; its range is not checked here.

    Raises:
        FieldTextError: the text has not the field's shape.
    """
    match field.kind:
        case "text":
            return text
        case "texts":
            return _texts(text)
        case "integer":
            return _integer(text)
        case "number":
            return _number(text)
        case "names":
            return _json_of(text, list, 'a JSON list of tool names, like ["search"]')
        case "object":
            return _json_of(text, dict, 'a JSON object, like {"blocked_terms": {}}')


def _texts(text: str) -> object:
    if text.lstrip().startswith("["):
        return _json_of(text, list, "one plain string or a JSON list of strings")
    return [text]


def _integer(text: str) -> int:
    digits = text.strip(_BLANKS)
    if not _INTEGER.fullmatch(digits):
        raise FieldTextError(f"must be an integer, got {_shown(text)}")
    return int(digits)


def _number(text: str) -> float:
    digits = text.strip(_BLANKS)
    if not _NUMBER.fullmatch(digits):
        raise FieldTextError(f"must be a number, got {_shown(text)}")
    return float(digits)


def _json_of(text: str, expected: type, wanted: str) -> object:
    try:
        value = parse_json(text)
    except JsonTextError as error:
        raise FieldTextError(f"must be {wanted}: {error}") from error
    if not isinstance(value, expected):
        raise FieldTextError(f"must be {wanted}, got {_shown(text)}")
    return value


def _shown(text: str, limit: int = 40) -> str:
    return repr(text if len(text) <= limit else text[:limit] + "…")
