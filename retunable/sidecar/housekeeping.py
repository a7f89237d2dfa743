"""Keeps the files small: what nobody can read any more is deleted, and the room given back.

In small steps between the writes of the apps, so that nobody waits long for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from retunable.errors import DatabaseUnavailable
from retunable.sidecar.database import Database
from retunable.sidecar.messages import forget_old
from retunable.sidecar.state import delete_expired

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 60.0


class Housekeeping:
    """Sweeps the state of one app and the messages of all, again and again."""

    def __init__(
        self, *, state: Database, messages: Database, clock: Callable[[], float] = time.time
    ) -> None:
        self._state = state
        self._messages = messages
        self._clock = clock

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
        while await self._state.write(lambda c: delete_expired(c, now=self._clock())):
            pass
        while await self._messages.write(lambda c: forget_old(c, now=self._clock())):
            pass
        await self._state.vacuum()
        await self._messages.vacuum()
