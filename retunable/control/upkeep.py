"""What is due now and then: publications left pending, replicas that fell silent, rows of users."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from retunable.control.outbox import Outbox
from retunable.errors import ConfigurationError, ReleaseStoreError, StoreWriteError
from retunable.release.store import replicas, run_events
from retunable.release.store.release_store import ReleaseStore

logger = logging.getLogger("retunable")

FORGET_EVERY: Final = 720
"""What is to be forgotten is, once in so many rounds; with five seconds each, hourly."""


class Upkeep:
    """Does its rounds at the start and every ``every_seconds``; a store that is away is said once."""

    def __init__(self, store: ReleaseStore, outbox: Outbox | None, *, every_seconds: float) -> None:
        self._store = store
        self._outbox = outbox
        self._every_seconds = every_seconds
        self._away: str | None = None

    async def run(self) -> None:
        """Go on for ever."""
        rounds = 0
        while True:
            try:
                await asyncio.to_thread(self._round, forget=rounds % FORGET_EVERY == 0)
                self._away = None
            except (ReleaseStoreError, StoreWriteError, ConfigurationError) as error:
                if str(error) != self._away:
                    logger.warning("publications that are pending stay so for now: %s", error)
                self._away = str(error)
            rounds += 1
            await asyncio.sleep(self._every_seconds)

    def _round(self, *, forget: bool) -> None:
        if self._outbox is not None:
            self._outbox.run_once()
        if forget:
            with self._store.transaction() as work:
                replicas.forget_silent(work)
                run_events.forget_users(work)
