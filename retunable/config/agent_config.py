"""One agent config: the frozen, validated value that tunes an agent.

Types and ranges of single fields are here. What the program allows beside them, and the
rules across fields, are in ``constraints``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from retunable.config.fields import FIELD_BY_NAME
from retunable.config.jsontext import JsonTextError, check_json, check_text

MAX_TEXT_BYTES: Final = 262_144
"""A field's text, all its strings together, in bytes of UTF-8."""


class InvalidField(ValueError):
    """One field's value is out of its type or range; ``field`` is its name."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


def _text(value: str) -> str:
    check_text(value)
    if len(value.encode()) > MAX_TEXT_BYTES:
        raise ValueError(f"must be at most {MAX_TEXT_BYTES} bytes, got {len(value.encode())}")
    return value


def _texts(values: tuple[str, ...]) -> tuple[str, ...]:
    _text("".join(values))
    return values


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    _texts(values)
    twice = [name for name in values if values.count(name) > 1]
    if twice:
        raise ValueError(f"must name each tool once, got {twice[0]!r} twice")
    return values


def _json_object(value: dict[str, Any]) -> dict[str, Any]:
    check_json(value)
    _text(json.dumps(value, ensure_ascii=False))
    for name, settings in value.items():
        if not isinstance(settings, dict):
            raise ValueError(
                f"must map each check to a JSON object, got {name!r}: {settings!r:.40}"
            )
    return value


Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_text)]
Texts = Annotated[tuple[Text, ...], AfterValidator(_texts)]


class AgentConfig(BaseModel):
    """Everything that tunes an agent, complete and valid by itself.

    ``tools`` is an allow-list of registered tools, None for all of them. ``temperature`` and
    ``max_tokens`` of None leave the provider's own default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    role: Text | None = None
    goal: Text | None = None
    instructions: Texts = ()
    style_guidelines: Texts = ()
    system_prompt: Text | None = None
    model: Name | None = None
    provider: Name = "openai"
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    max_iterations: Annotated[int, Field(ge=1, le=1000)] = 10
    tools: Annotated[tuple[Name, ...], AfterValidator(_distinct)] | None = None
    tool_choice: Name | None = None
    guardrails: Annotated[dict[str, Any], AfterValidator(_json_object)] = Field(
        default_factory=dict
    )
    guardrail_threshold: Annotated[float, Field(ge=0, le=1)] = 0.5

    def to_json(self) -> dict[str, Any]:
        """Return every field by name as JSON values (lists, not tuples)."""
        return self.model_dump(mode="json")

    def with_values(self, values: Mapping[str, Any]) -> AgentConfig:
        """Return a copy with fields that ``check_field`` has passed before."""
        return self.model_copy(update=dict(values)) if values else self


def config_from(values: Mapping[str, object]) -> AgentConfig:
    """Return a config from values by field name, None of them unknown; lists may be lists.

    Raises:
        InvalidField: a value is out of type or range.
    """
    return AgentConfig().with_values({name: check_field(name, values[name]) for name in values})


def check_field(name: str, value: object) -> Any:
    """Return the value of one field as ``AgentConfig`` holds it, from JSON or Python values.

    Raises:
        InvalidField: type or range is wrong; the reason reads on from the field's name.
    """
    try:
        return getattr(AgentConfig.model_validate({name: _prepared(name, value)}), name)
    except ValidationError as error:
        raise InvalidField(name, _reason(error)) from error
    except JsonTextError as error:
        raise InvalidField(name, str(error)) from error


def _prepared(name: str, value: object) -> object:
    """Give JSON's list, one plain string and null the shape that the strict model takes."""
    match FIELD_BY_NAME[name].kind:
        case "texts" if value is None:
            return ()
        case "texts" if isinstance(value, str):
            return (value,)
        case "texts" | "names" if isinstance(value, list):
            return tuple(value)
        case "object" if value is None:
            return {}
        case _:
            return value


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ").replace("Input should", "must")
    place = "".join(f" (item {part + 1})" for part in first["loc"] if isinstance(part, int))
    if first["type"] == "value_error":
        return message + place
    shown = repr(first["input"])
    return f"{message}, got {shown if len(shown) <= 60 else shown[:60] + '…'}{place}"
