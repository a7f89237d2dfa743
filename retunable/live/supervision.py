"""Background tasks that never die in silence: restarted, or reported as dead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from retunable.live.subscription import Timings

logger = logging.getLogger("retunable")


class SupervisedTask:
    """One endless coroutine function, started again when it ends, until it ends too often."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        *,
        timings: Timings,
        on_death: Callable[[str], None],
    ) -> None:
        self._name = name
        self._work = work
        self._timings = timings
        self._on_death = on_death
        self._stopping = False
        self._task = asyncio.create_task(self._supervise(), name=f"retunable {name}")
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Cancel the task and wait for its end."""
        self._stopping = True
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        deaths: list[float] = []
        while len(deaths) < self._timings.restart_limit:
            try:
                await self._work()
                logger.error("the task %r ended by itself; starting it again", self._name)
            except Exception:
                # A supervised seam: whatever it was, it is logged and shows in the status.
                logger.exception("the task %r died; starting it again", self._name)
            horizon = loop.time() - self._timings.restart_window_seconds
            deaths = [*(death for death in deaths if death > horizon), loop.time()]
            await asyncio.sleep(self._timings.backoff_first_seconds)

    def _ended(self, _: asyncio.Task[None]) -> None:
        if not self._stopping:
            logger.error("the task %r cannot be kept alive", self._name)
            self._on_death(self._name)
