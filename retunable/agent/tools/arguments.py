"""What a tool takes: the JSON schema for the model, and the keyword arguments for the function.

Both follow from the function's type hints, through a pydantic model that is built when first
needed.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any

from retunable.errors import ConfigurationError


class _CallIdMark:
    """Marks a parameter in its type hint."""

    def __repr__(self) -> str:
        return "CallId"


CallId = Annotated[str, _CallIdMark()]
"""The type hint of a tool's parameter that receives the call's id instead of a model's argument.

The id is the same however often one call is made again (a retry, a crash, a restart), so a tool
that pays or sends can be idempotent with it. The model neither sees nor gives it.
"""


class ToolArguments:
    """The arguments of one function; ``owner`` names it in messages."""

    def __init__(self, function: Callable[..., Any], *, owner: str) -> None:
        self._function = function
        self._owner = owner

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all parameters."""
        return tuple(parameters(self._function))

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema that a model is told."""
        from pydantic.json_schema import GenerateJsonSchema

        class WithoutTitles(GenerateJsonSchema):
            """A field's title repeats its name, and every model call pays for it."""

            def field_title_should_be_set(self, schema: Any) -> bool:
                del schema
                return False

        schema: dict[str, Any] = self._model.model_json_schema(schema_generator=WithoutTitles)
        schema.pop("title", None)
        return schema

    @cached_property
    def call_id_names(self) -> tuple[str, ...]:
        """The parameters that are annotated with ``CallId``."""
        return tuple(name for name, hint in self._hints.items() if _is_call_id(hint))

    def parse(self, text: str) -> dict[str, Any]:
        """Return the keyword arguments that a model's JSON text stands for.

        Raises:
            ValueError: the text is not JSON, or does not fit the function's type hints.
        """
        parsed = self._model.model_validate_json(text or "{}")
        # Only what was given: a default stays the function's own object.
        return {
            str(field.alias): getattr(parsed, name)
            for name, field in type(parsed).model_fields.items()
            if name in parsed.model_fields_set
        }

    @cached_property
    def _model(self) -> Any:
        from pydantic import ConfigDict, Field, create_model

        # Fields get neutral names, for a parameter may be called what pydantic keeps for itself.
        fields: dict[str, Any] = {}
        for number, (name, parameter) in enumerate(parameters(self._function).items()):
            if name in self.call_id_names:
                continue
            empty = parameter.default is inspect.Parameter.empty
            default = ... if empty else parameter.default
            fields[f"p{number}"] = (self._hints.get(name, Any), Field(default, alias=name))
        config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
        return create_model(self._owner, __config__=config, **fields)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        function = inspect.unwrap(self._function)
        hinted = function if inspect.isroutine(function) else type(function).__call__
        try:
            return typing.get_type_hints(hinted, include_extras=True)
        except NameError as error:
            raise ConfigurationError(
                f"a type hint of tool {self._owner!r} is unknown: {error}"
            ) from error


def parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return a function's parameters by name."""
    return inspect.signature(function).parameters


def explain_mismatch(error: ValueError) -> str:
    """Return what is wrong with a model's arguments, argument by argument."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in found)


def _is_call_id(hint: object) -> bool:
    marks: tuple[object, ...] = getattr(hint, "__metadata__", ())
    return any(isinstance(mark, _CallIdMark) for mark in marks) or any(
        _is_call_id(part) for part in typing.get_args(hint) if part is not hint
    )
