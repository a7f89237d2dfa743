"""One activity in flight for each step and tool call of a process: a second dispatch joins it.

A restarted daprd dispatches a running activity again into the same process. The work belongs to
no dispatch: one that is cancelled leaves it running, for the next one to join.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

FlightKey = tuple[str, int, int | None]
"""Run id, step, and index of the tool call (None for the model call)."""


class Flights:
    """What runs now, on one event loop."""

    def __init__(self) -> None:
        self._running: dict[FlightKey, asyncio.Task[Any]] = {}
        self._closed = False

    async def join(self, key: FlightKey, work: Callable[[], Awaitable[Any]]) -> Any:
        """Start the work, or join the one of this key that runs; return its result.

        Cancelled once closed: the SDK reports nothing of a cancelled activity, and the sidecar
        hands it to the next worker.
        """
        if self._closed:
            raise asyncio.CancelledError
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(_await(work), name=f"{key}")
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    async def end(self, run_id: str | None = None) -> None:
        """Cancel what runs for one run, or for all, and wait until it is over."""
        tasks = [t for key, t in self._running.items() if run_id is None or key[0] == run_id]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Take nothing any more and cancel what runs."""
        self._closed = True
        await self.end()

    def _landed(self, key: FlightKey, task: asyncio.Task[Any]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever joined was told; nobody may be left to be


async def _await(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()
