"""The threads of plain (not async) tools: how many at a time, and what becomes of the late ones.

A tool that hangs costs its own thread and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from retunable.agent.time_limit import TimeLimitPassed, within
from retunable.live.threads import run_in_daemon_thread

MAX_RUNNING_TOOLS: Final = 32
MAX_ABANDONED_TOOLS: Final = 64


class TooManyAbandoned(Exception):
    """So many calls never ended that no further one is begun in this process."""


class ToolThreads:
    """Runs plain tools beside one event loop, at most ``max_running`` at a time.

    A call whose caller has gone (time limit, cancellation) frees its place, for 32 of them
    would otherwise stop every tool; its thread lives on and is counted in ``abandoned``.
    """

    def __init__(
        self, *, max_running: int = MAX_RUNNING_TOOLS, max_abandoned: int = MAX_ABANDONED_TOOLS
    ) -> None:
        self._free = asyncio.Semaphore(max_running)
        self._max_abandoned = max_abandoned
        self._left: set[_Watched] = set()

    @property
    def abandoned(self) -> int:
        """How many threads still run a call that nobody waits for."""
        self._left = {call for call in self._left if not call.ended}
        return len(self._left)

    async def run(self, call: Callable[[], Any], *, seconds: float | None = None) -> Any:
        """Run one tool in a thread of its own; the limit begins when its thread does.

        Raises:
            TimeLimitPassed: it did not end in time; its thread goes on.
            TooManyAbandoned: too many calls before it never ended.
        """
        async with self._free:
            if self.abandoned >= self._max_abandoned:
                raise TooManyAbandoned(
                    f"{self.abandoned} calls before it never ended; end the agent's process, "
                    "and give what blocks a time limit of its own"
                )
            watched = _Watched(call)
            try:
                work = run_in_daemon_thread(watched, name="retunable-tool")
                return await within(work, seconds=seconds)
            except (TimeLimitPassed, asyncio.CancelledError):
                if watched.began:
                    self._left.add(watched)
                raise


class _Watched:
    """A call that says whether it has ended."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self.began = False
        self.ended = False

    def __call__(self) -> Any:
        self.began = True
        try:
            return self._call()
        finally:
            self.ended = True
