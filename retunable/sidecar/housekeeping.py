"""Keeps the files small: what nobody can read any more is deleted, and the room given back.

In small steps between the writes of the apps, so that nobody waits long for it. A clock that is set
while the sidecar runs, or a machine that slept, makes no message old.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from retunable.errors import DatabaseUnavailable
from retunable.sidecar.database import Database
from retunable.sidecar.messages import forget_old, keep_age
from retunable.sidecar.state import delete_expired

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 60.0
JUMP_SECONDS: Final = 3600.0
"""From here on a clock was put forward; less makes no difference to days."""


class Housekeeping:
    """Sweeps the state of one app and the messages of all, again and again."""

    def __init__(
        self,
        *,
        state: Database,
        messages: Database,
        clock: Callable[[], float] = time.time,
        steady_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._messages = messages
        self._clock = clock
        self._steady_clock = steady_clock
        self._ahead_seconds: float | None = None

    async def run(self, *, every_seconds: float = SWEEP_SECONDS) -> None:
        """Sweep until cancelled; a file that cannot be written is tried again next time."""
        while True:
            try:
                await self.sweep()
            except DatabaseUnavailable as error:
                log.warning("action=sweep error=%s", error)
            await asyncio.sleep(every_seconds)

    async def sweep(self) -> None:
        """Delete everything that is due.

        Raises:
            DatabaseUnavailable: the rest is left for the next time.
        """
        now = self._clock()
        await self._meet_the_clock(now)
        while await self._state.write(lambda c: delete_expired(c, now=now), long=True):
            pass
        while await self._messages.write(lambda c: forget_old(c, now=now), long=True):
            pass
        await self._state.vacuum()
        await self._messages.vacuum()

    async def _meet_the_clock(self, now: float) -> None:
        """Notice by a clock that nobody sets that the other one was put forward."""
        ahead = now - self._steady_clock()
        jump = 0.0 if self._ahead_seconds is None else ahead - self._ahead_seconds
        if jump > JUMP_SECONDS:
            log.warning("action=clock_put_forward seconds=%.0f", jump)
            await self._messages.write(lambda c: keep_age(c, put_forward_seconds=jump, now=now))
        self._ahead_seconds = ahead
