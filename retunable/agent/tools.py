"""Tools: functions that a model may call, with a schema from their type hints.

A tool's name and signature are checked when it is declared; its JSON schema and its argument
validation are built by pydantic when first needed. Whatever goes wrong in a call becomes text
for the model.
"""

from __future__ import annotations

import functools
import inspect
import logging
import re
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, overload

from retunable.agent.model import ToolSpec
from retunable.agent.threads import ToolThreads
from retunable.errors import ConfigurationError

_log = logging.getLogger("retunable")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEYWORD_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class ToolOutput:
    """What a tool call gives back to the model; ``ok`` is False where it went wrong."""

    text: str
    ok: bool = True


class Tool(Generic[P, R]):
    """A function that a model may call; calling the tool itself calls the function."""

    def __init__(self, function: Callable[P, R], *, name: str, description: str) -> None:
        self.function = function
        self.name = name
        self.description = description
        self.is_async = _is_async(function)
        functools.update_wrapper(self, function)
        _check(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function as if it were not a tool."""
        return self.function(*args, **kwargs)

    @cached_property
    def spec(self) -> ToolSpec:
        """What a model is told about this tool."""
        from pydantic.json_schema import GenerateJsonSchema

        class WithoutTitles(GenerateJsonSchema):
            """A field's title repeats its name, and every model call pays for it."""

            def field_title_should_be_set(self, schema: Any) -> bool:
                del schema
                return False

        parameters = self._arguments.model_json_schema(schema_generator=WithoutTitles)
        parameters.pop("title", None)
        return ToolSpec(self.name, self.description, parameters)

    def parse_arguments(self, text: str) -> dict[str, Any]:
        """Return the keyword arguments that a model's JSON text stands for.

        Raises:
            ValueError: the text is not JSON, or does not fit the function's type hints.
        """
        parsed = self._arguments.model_validate_json(text or "{}")
        # Only what was given: a default stays the function's own object.
        return {
            _alias(field): getattr(parsed, name)
            for name, field in type(parsed).model_fields.items()
            if name in parsed.model_fields_set
        }

    @cached_property
    def _arguments(self) -> Any:
        from pydantic import ConfigDict, Field, create_model

        hints = _type_hints(self)
        # Fields get neutral names, for a parameter may be called what pydantic keeps for itself.
        fields: dict[str, Any] = {}
        for number, (name, parameter) in enumerate(_parameters(self.function).items()):
            empty = parameter.default is inspect.Parameter.empty
            default = ... if empty else parameter.default
            fields[f"p{number}"] = (hints.get(name, Any), Field(default, alias=name))
        config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
        return create_model(self.name, __config__=config, **fields)


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Make a tool of a plain or async function.

    Its name and docstring tell the model what it is for, its type hints what it takes;
    ``Annotated[int, Field(description="…")]`` describes one argument.

    Raises:
        ConfigurationError: the name is not one that models accept, or the function takes
            arguments that cannot be given by name.
    """

    def make(function: Callable[P, R]) -> Tool[P, R]:
        own_name: str = getattr(function, "__name__", "")
        return Tool(
            function,
            name=name or own_name,
            description=description or inspect.getdoc(function) or "",
        )

    return make if function is None else make(function)


def as_tool(candidate: object) -> Tool[..., Any]:
    """Return a tool as it is and make one of a function.

    Raises:
        ConfigurationError: the candidate is neither.
    """
    if isinstance(candidate, Tool):
        return candidate
    if not callable(candidate):
        raise ConfigurationError(f"tools=[…] takes functions, got {candidate!r}")
    return tool(candidate)


async def call_tool(tool: Tool[..., Any], arguments: str, *, threads: ToolThreads) -> ToolOutput:
    """Run one call and return its result as text; never raises on what the tool does."""
    try:
        keywords = tool.parse_arguments(arguments)
    except ValueError as error:
        return ToolOutput(f"The arguments of {tool.name} are wrong: {_reason(error)}", ok=False)
    try:
        return ToolOutput(_to_text(await _invoke(tool, keywords, threads)))
    except Exception as error:  # noqa: BLE001 - a seam: the model gets the text, the log the traceback
        _log.warning("tool %s raised", tool.name, exc_info=True)
        return ToolOutput(f"{tool.name} failed: {type(error).__name__}: {error}", ok=False)


async def _invoke(tool: Tool[..., Any], keywords: Mapping[str, Any], threads: ToolThreads) -> Any:
    call = functools.partial(tool.function, **keywords)
    result = call() if tool.is_async else await threads.run(call)
    return await result if isinstance(result, Awaitable) else result


def _to_text(result: Any) -> str:
    if isinstance(result, str):
        return result
    from pydantic_core import to_json

    return to_json(result, fallback=str, inf_nan_mode="strings").decode()


def _reason(error: ValueError) -> str:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in found)


def _is_async(function: Callable[..., Any]) -> bool:
    inner = inspect.unwrap(function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(
        getattr(inner, "__call__", None)  # noqa: B004 - an object with an async __call__ counts too
    )


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def _check(tool: Tool[..., Any]) -> None:
    if not _NAME.fullmatch(tool.name):
        raise ConfigurationError(
            f"the tool name {tool.name!r} must match [A-Za-z0-9_-]{{1,64}}; "
            'name it with @tool(name="…")'
        )
    for name, parameter in _parameters(tool.function).items():
        if parameter.kind not in _KEYWORD_KINDS:
            raise ConfigurationError(
                f"tool {tool.name!r} takes {parameter}, which a model cannot give by name; "
                f"make {name!r} an ordinary parameter"
            )


def _type_hints(tool: Tool[..., Any]) -> dict[str, Any]:
    function = inspect.unwrap(tool.function)
    hinted = function if inspect.isroutine(function) else type(function).__call__
    try:
        return typing.get_type_hints(hinted, include_extras=True)
    except NameError as error:
        raise ConfigurationError(
            f"a type hint of tool {tool.name!r} is unknown: {error}"
        ) from error


def _alias(field: Any) -> str:
    return str(field.alias)
