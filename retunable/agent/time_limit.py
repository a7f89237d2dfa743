"""Waiting for what a program's own function does, no longer than a time limit.

What does not end is cancelled and left behind: whatever it does with the cancellation, the
caller goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

_log = logging.getLogger("retunable")

_left_behind: set[asyncio.Task[Any]] = set()
"""The event loop keeps only weak references to tasks."""


class TimeLimitPassed(Exception):
    """The work did not end in time; it may still be going on."""


async def within(work: Awaitable[Any], *, seconds: float | None) -> Any:
    """Return what ``work`` returns or raise what it raises; None waits without a limit.

    Raises:
        TimeLimitPassed: it did not end in time. (The work's own ``TimeoutError`` stays one.)
    """
    task = asyncio.create_task(_shielded_loop(work))
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _leave_behind(task)
        raise
    if not done:
        _leave_behind(task)
        raise TimeLimitPassed
    if task.cancelled():
        # Not ours: the work was cancelled from inside, and our caller was not.
        raise RuntimeError("was cancelled from inside")
    return task.result()


async def _shielded_loop(work: Awaitable[Any]) -> Any:
    try:
        return await work
    except SystemExit as error:
        # It would pass through the task and end the agent's event loop.
        raise RuntimeError(f"raised {error!r}") from error


def _leave_behind(task: asyncio.Task[Any]) -> None:
    task.cancel()
    _left_behind.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    _left_behind.discard(task)
    if not task.cancelled() and task.exception() is not None:
        _log.debug("work left behind raised", exc_info=task.exception())
