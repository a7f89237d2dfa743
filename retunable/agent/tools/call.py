"""One call of a tool: its tries, its time limit, and its result as text of bounded length.

Whatever goes wrong becomes text for the model. Only what a tool raises is tried again, and only
where the tool allows it: a call that ran out of time may still take effect.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from retunable.agent.retry import backoff_seconds
from retunable.agent.time_limit import TimeLimitPassed, within
from retunable.agent.tools.arguments import explain_mismatch
from retunable.agent.tools.threads import ToolThreads, TooManyAbandoned
from retunable.agent.tools.tool import Tool

_log = logging.getLogger("retunable")

Sleep = Callable[[float], Awaitable[object]]

FIRST_RETRY_SECONDS: Final = 0.2
LAST_RETRY_SECONDS: Final = 10.0


@dataclass(frozen=True)
class ToolOutput:
    """What a tool call gives back to the model; ``ok`` is False where it went wrong."""

    text: str
    ok: bool = True


async def call_tool(
    tool: Tool[..., Any],
    arguments: str,
    *,
    threads: ToolThreads,
    call_id: str | None = None,
    sleep: Sleep = asyncio.sleep,
) -> ToolOutput:
    """Run one call and return its result as text; never raises on what the tool does.

    ``call_id`` is the same whenever this call is made again, in this process or another.

    Raises:
        ValueError: the tool takes a ``CallId`` and none is given.
    """
    output = await _tried(tool, arguments, threads, call_id, sleep)
    return ToolOutput(_bounded(output.text, tool.limits.max_result_characters), output.ok)


async def _tried(
    tool: Tool[..., Any],
    arguments: str,
    threads: ToolThreads,
    call_id: str | None,
    sleep: Sleep,
) -> ToolOutput:
    given = _call_id_arguments(tool, call_id)
    for attempt in count(1):
        outcome = await _try(tool, arguments, given, threads)
        if isinstance(outcome, ToolOutput):
            return outcome
        _log.warning("tool %s raised in try %d", tool.name, attempt, exc_info=outcome)
        if attempt > tool.limits.retries:
            return _raised(tool, outcome)
        await sleep(_delay(attempt))
    raise AssertionError("count() does not end")


async def _try(
    tool: Tool[..., Any], arguments: str, given: dict[str, Any], threads: ToolThreads
) -> ToolOutput | Exception:
    """Return what the model is told, or what the tool raised, which may be tried again."""
    try:
        # Read anew for each try: the one before may have changed a list that it was given.
        keywords = tool.parse_arguments(arguments)
    except ValueError as error:
        said = f"The arguments of {tool.name} are wrong: {explain_mismatch(error)}"
        return ToolOutput(said, ok=False)
    try:
        result = await _invoke(tool, keywords | given, threads)
    except TimeLimitPassed:
        return _too_late(tool, threads.abandoned)
    except TooManyAbandoned as error:
        _log.error("tool %s was not called: %s", tool.name, error)
        return ToolOutput(f"{tool.name} cannot be called now: {error}", ok=False)
    except Exception as error:  # noqa: BLE001 - a seam: the model gets the text, the log the traceback
        return error
    return _as_output(tool, result)


def _as_output(tool: Tool[..., Any], result: Any) -> ToolOutput:
    try:
        return ToolOutput(_to_text(result))
    except Exception as error:  # noqa: BLE001 - a seam: a result's own methods may raise anything
        _log.warning("the result of tool %s is no text and no JSON", tool.name, exc_info=True)
        return _raised(tool, error)


async def _invoke(tool: Tool[..., Any], keywords: dict[str, Any], threads: ToolThreads) -> Any:
    call = functools.partial(tool.function, **keywords)
    seconds = tool.limits.timeout_seconds
    result = call() if tool.is_async else await threads.run(call, seconds=seconds)
    return await within(result, seconds=seconds) if isinstance(result, Awaitable) else result


def _call_id_arguments(tool: Tool[..., Any], call_id: str | None) -> dict[str, Any]:
    names = tool.call_id_names
    if names and call_id is None:
        raise ValueError(f"tool {tool.name!r} takes a CallId, and this call has none")
    return dict.fromkeys(names, call_id)


def _delay(attempt: int) -> float:
    return backoff_seconds(
        attempt, first=FIRST_RETRY_SECONDS, last=LAST_RETRY_SECONDS, jitter=random.random()
    )


def _raised(tool: Tool[..., Any], error: Exception) -> ToolOutput:
    return ToolOutput(f"{tool.name} failed: {type(error).__name__}: {error}", ok=False)


def _too_late(tool: Tool[..., Any], abandoned: int) -> ToolOutput:
    seconds = tool.limits.timeout_seconds
    _log.warning("tool %s passed its %s s; %d abandoned threads run", tool.name, seconds, abandoned)
    said = (
        f"{tool.name} did not end within {seconds:g} s and was given up; "
        "what it was doing may still take effect."
    )
    return ToolOutput(said, ok=False)


def _to_text(result: Any) -> str:
    if isinstance(result, str):
        return result
    from pydantic_core import to_json

    return to_json(result, fallback=str, inf_nan_mode="strings").decode()


def _bounded(text: str, limit: int) -> str:
    """Cut a text, and make it one that can be stored and sent: a file name may hold surrogates."""
    kept = text[:limit].encode("utf-8", "replace").decode()
    if len(text) <= limit:
        return kept
    return f"{kept}\n[cut here: the first {limit} of {len(text)} characters]"
