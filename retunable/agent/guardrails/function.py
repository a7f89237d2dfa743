"""Guardrails of the program: a plain or async function from a proposal to a score."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, overload

from retunable.agent.guardrails.built_in import BUILT_IN
from retunable.agent.guardrails.check import SAFE, Guardrail, Score
from retunable.agent.guardrails.proposal import Proposal, moment_of
from retunable.agent.guardrails.settings import Moments, settings_reasons
from retunable.agent.time_limit import within
from retunable.agent.tools.threads import ToolThreads
from retunable.agent.tools.tool import is_async
from retunable.errors import ConfigurationError

Judge = Callable[[Proposal], float | Awaitable[float]]

DEFAULT_TIMEOUT_SECONDS: Final = 10.0

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class FunctionGuardrail:
    """A function as a check; calling it calls the function."""

    def __init__(
        self, function: Judge, *, name: str, description: str, timeout_seconds: float
    ) -> None:
        self.function = function
        self.name = name
        self.description = description
        self.timeout_seconds = timeout_seconds
        self._is_async = is_async(function)
        functools.update_wrapper(self, function)
        _check(self)

    def __call__(self, proposal: Proposal) -> float | Awaitable[float]:
        """Call the function as if it were no guardrail."""
        return self.function(proposal)

    def check_settings(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what is wrong with some settings; only ``on`` is known."""
        return settings_reasons(Moments, settings)

    async def score(
        self, proposal: Proposal, settings: Mapping[str, Any], *, threads: ToolThreads
    ) -> Score:
        """Return what the function returns, with its description as the reason.

        Raises:
            TimeLimitPassed: it did not end in time.
            ValueError: it returned no number from 0 to 1.
        """
        if moment_of(proposal) not in Moments.model_validate(dict(settings)).on:
            return SAFE
        returned = await self._call(proposal, threads)
        value = float(returned) if isinstance(returned, numbers.Real) else math.nan
        if not 0 <= value <= 1:
            raise ValueError(f"guardrail {self.name} returned {returned!r:.40}, not 0 to 1")
        return Score(value, self.description)

    async def _call(self, proposal: Proposal, threads: ToolThreads) -> object:
        seconds = self.timeout_seconds
        if self._is_async:
            result: Any = self.function(proposal)
        else:
            result = await threads.run(lambda: self.function(proposal), seconds=seconds)
        return await within(result, seconds=seconds) if isinstance(result, Awaitable) else result


@overload
def guardrail(function: Judge, /) -> FunctionGuardrail: ...
@overload
def guardrail(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> Callable[[Judge], FunctionGuardrail]: ...
def guardrail(
    function: Judge | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> FunctionGuardrail | Callable[[Judge], FunctionGuardrail]:
    """Make a check of a plain or async function that takes an ``Answer`` or a ``ProposedCall``.

    It returns how safe that is, from 1 (safe) to 0. Configuration names it to switch it on:
    ``{"name": {}}``, or ``{"name": {"on": ["answer"]}}``. The first line of its docstring tells
    the model what to change. One that raises or runs out of time counts as 0.

    Raises:
        ConfigurationError: the name or the time limit cannot be used, or the function does not
            take exactly one argument.
    """

    def make(function: Judge) -> FunctionGuardrail:
        own_name: str = getattr(function, "__name__", "")
        lines = (inspect.getdoc(function) or "").splitlines()
        return FunctionGuardrail(
            function,
            name=name or own_name,
            description=description or (lines[0] if lines else ""),
            timeout_seconds=timeout_seconds,
        )

    return make if function is None else make(function)


def as_guardrail(candidate: object) -> FunctionGuardrail:
    """Return a guardrail as it is and make one of a function.

    Raises:
        ConfigurationError: the candidate is neither.
    """
    if isinstance(candidate, FunctionGuardrail):
        return candidate
    if not callable(candidate):
        raise ConfigurationError(f"guardrail_checks=[…] takes functions, got {candidate!r}")
    return guardrail(candidate)


def registered_guardrails(candidates: Iterable[object] = ()) -> dict[str, Guardrail]:
    """Return the built-in checks and those of the program, by name.

    Raises:
        ConfigurationError: one is no function, or two have one name.
    """
    registered: dict[str, Guardrail] = dict(BUILT_IN)
    for candidate in candidates:
        check = as_guardrail(candidate)
        if check.name in registered:
            kind = "built in" if check.name in BUILT_IN else "there already"
            raise ConfigurationError(
                f'a guardrail {check.name!r} is {kind}; name this one with @guardrail(name="…")'
            )
        registered[check.name] = check
    return registered


def _check(check: FunctionGuardrail) -> None:
    if not _NAME.fullmatch(check.name):
        raise ConfigurationError(
            f"the guardrail name {check.name!r} must match {_NAME.pattern}; "
            'name it with @guardrail(name="…")'
        )
    if not 0 < check.timeout_seconds < math.inf:
        raise ConfigurationError(f"guardrail {check.name!r}: timeout_seconds must be above 0")
    try:
        inspect.signature(check.function).bind(object())
    except TypeError as error:
        raise ConfigurationError(
            f"guardrail {check.name!r} must take one argument, the proposal: {error}"
        ) from error
