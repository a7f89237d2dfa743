"""Tools: functions that a model may call, with a schema from their type hints.

A tool's name, signature and limits are checked when it is declared; its JSON schema and its
argument validation are built when first needed. ``call`` makes the calls.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Generic, ParamSpec, TypeVar, overload

from retunable.agent.models.model import ToolSpec
from retunable.agent.tools.arguments import ToolArguments, parameters
from retunable.errors import ConfigurationError

MAX_RETRIES: Final = 10
MAX_RESULT_CHARACTERS: Final = 300_000
"""A result travels with a step: escaped as JSON, 12 bytes each at worst, it stays below gRPC's 4 MiB."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEYWORD_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolLimits:
    """What a tool's calls may take.

    ``timeout_seconds`` bounds one try, None is without limit. ``retries`` counts the tries after
    one that raised. ``max_result_characters`` is what of a result reaches the model.
    """

    timeout_seconds: float | None = 300.0
    retries: int = 0
    max_result_characters: int = 100_000


class Tool(Generic[P, R]):
    """A function that a model may call; calling the tool itself calls the function."""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str,
        description: str,
        limits: ToolLimits = ToolLimits(),
    ) -> None:
        self.function = function
        self.name = name
        self.description = description
        self.limits = limits
        self.is_async = is_async(function)
        self._arguments = ToolArguments(function, owner=name)
        functools.update_wrapper(self, function)
        _check(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function as if it were not a tool."""
        return self.function(*args, **kwargs)

    @cached_property
    def spec(self) -> ToolSpec:
        """What a model is told about this tool."""
        return ToolSpec(self.name, self.description, self._arguments.schema)

    @property
    def argument_names(self) -> tuple[str, ...]:
        """The names of the function's parameters."""
        return self._arguments.names

    @property
    def call_id_names(self) -> tuple[str, ...]:
        """The parameters that receive the call's id; see ``CallId``."""
        return self._arguments.call_id_names

    def parse_arguments(self, text: str) -> dict[str, Any]:
        """Return the keyword arguments that a model's JSON text stands for.

        Raises:
            ValueError: the text is not JSON, or does not fit the function's type hints.
        """
        return self._arguments.parse(text)


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_seconds: float | None = 300.0,
    retries: int = 0,
    max_result_characters: int = 100_000,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_seconds: float | None = 300.0,
    retries: int = 0,
    max_result_characters: int = 100_000,
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Make a tool of a plain or async function.

    Its name and docstring tell the model what it is for, its type hints what it takes;
    ``Annotated[int, Field(description="…")]`` describes one argument, and a parameter of type
    ``CallId`` gets an id to be idempotent with. ``timeout_seconds`` bounds one try (None: no
    limit); a call that passes it is not tried again. ``retries`` is how often a call that raised
    is made again, which only a tool that may run twice should ask for.

    Raises:
        ConfigurationError: the name is not one that models accept, a limit is out of range, or
            the function takes arguments that cannot be given by name.
    """
    limits = ToolLimits(
        timeout_seconds=timeout_seconds,
        retries=retries,
        max_result_characters=max_result_characters,
    )

    def make(function: Callable[P, R]) -> Tool[P, R]:
        own_name: str = getattr(function, "__name__", "")
        return Tool(
            function,
            name=name or own_name,
            description=description or inspect.getdoc(function) or "",
            limits=limits,
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


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether calling a function gives an awaitable without doing its work."""
    inner = inspect.unwrap(function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(
        getattr(inner, "__call__", None)  # noqa: B004 - an object with an async __call__ counts too
    )


def _check(tool: Tool[..., Any]) -> None:
    if not _NAME.fullmatch(tool.name):
        raise ConfigurationError(
            f"the tool name {tool.name!r} must match [A-Za-z0-9_-]{{1,64}}; "
            'name it with @tool(name="…")'
        )
    for name, parameter in parameters(tool.function).items():
        if parameter.kind not in _KEYWORD_KINDS:
            raise ConfigurationError(
                f"tool {tool.name!r} takes {parameter}, which a model cannot give by name; "
                f"make {name!r} an ordinary parameter"
            )
    _check_limits(tool)


def _check_limits(tool: Tool[..., Any]) -> None:
    limits = tool.limits
    seconds = limits.timeout_seconds
    if seconds is not None and not 0 < seconds < math.inf:
        raise ConfigurationError(
            f"tool {tool.name!r}: timeout_seconds must be above 0, or None for no limit"
        )
    if not 0 <= limits.retries <= MAX_RETRIES:
        raise ConfigurationError(f"tool {tool.name!r}: retries must be 0 to {MAX_RETRIES}")
    if not 1 <= limits.max_result_characters <= MAX_RESULT_CHARACTERS:
        raise ConfigurationError(
            f"tool {tool.name!r}: max_result_characters must be 1 to {MAX_RESULT_CHARACTERS}"
        )
