"""The settings of the built-in checks: their shapes and bounds, checked when a config is applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)

from retunable.agent.guardrails.personal_data import Kind
from retunable.agent.guardrails.proposal import MOMENTS, Moment
from retunable.agent.guardrails.terms import MAX_WORDS, words_of

MAX_TERMS: Final = 2000
MAX_VALUES: Final = 2000
MAX_SETTING_CHARACTERS: Final = 500


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Moments(_Settings):
    """The settings that every check has: what it is ``on``, answers and tool calls by default."""

    on: Annotated[list[Moment], Field(min_length=1)] = list(MOMENTS)


def _term(text: str) -> str:
    if not 1 <= len(words_of(text)) <= MAX_WORDS:
        raise ValueError(f"must hold 1 to {MAX_WORDS} words")
    return text


class BlockedTerms(Moments):
    """``{"terms": ["…"]}``"""

    terms: Annotated[
        list[
            Annotated[
                str,
                StringConstraints(min_length=1, max_length=MAX_SETTING_CHARACTERS),
                AfterValidator(_term),
            ]
        ],
        Field(min_length=1, max_length=MAX_TERMS),
    ]


class Length(Moments):
    """``{"max_characters": n}``"""

    max_characters: Annotated[int, Field(ge=1)]


class PersonalData(Moments):
    """``{"kinds": ["email", "phone", "credit_card", "iban"]}``"""

    kinds: Annotated[list[Kind], Field(min_length=1)]


Scalar = StrictStr | StrictBool | StrictInt | StrictFloat | None
Number = StrictInt | StrictFloat


class PatternRule(_Settings):
    """``{"pattern": "https://example.com/*"}``: ``*`` is any text, all else stands for itself."""

    pattern: Annotated[str, StringConstraints(max_length=MAX_SETTING_CHARACTERS)]


class RangeRule(_Settings):
    """``{"min": 1, "max": 100}``, either or both."""

    min: Number | None = None
    max: Number | None = None

    @model_validator(mode="after")
    def _bounds(self) -> RangeRule:
        if self.min is None and self.max is None:
            raise ValueError('needs "min", "max" or "pattern", or a list of allowed values')
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max")
        return self


Values = Annotated[list[Scalar], Field(min_length=1, max_length=MAX_VALUES)]


def _rule_kind(rule: Any) -> str:
    match rule:
        case list() | tuple():
            return "values"
        case {"pattern": _} | PatternRule():
            return "pattern"
        case _:
            return "range"


Rule = Annotated[
    Annotated[Values, Tag("values")]
    | Annotated[PatternRule, Tag("pattern")]
    | Annotated[RangeRule, Tag("range")],
    Discriminator(_rule_kind),
]


class AllowedArguments(RootModel[dict[str, Annotated[dict[str, Rule], Field(min_length=1)]]]):
    """``{"tool": {"argument": rule}}``"""

    model_config = ConfigDict(frozen=True, strict=True)


def settings_reasons(model: type[BaseModel], settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is wrong with some settings, place by place."""
    try:
        model.model_validate(dict(settings))
    except ValidationError as error:
        return tuple(_reason(found) for found in error.errors(include_url=False))
    return ()


def _reason(found: Any) -> str:
    # A rule's kind stands in the place too; it is not written in the settings.
    place = ".".join(str(part) for part in found["loc"] if part not in ("values", "range"))
    message = found["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return f"{place}: {message}" if place else message
