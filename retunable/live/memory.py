"""When the last good items go to disk: soon after the swap, apart from it, the latest only.

Not at once: a write with its fsync in a thread beside the event loop made the swap after it
up to 1 ms later, and of a burst only the last state matters.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial

from retunable.config.last_good import LastGood
from retunable.live.last_good_file import LastGoodFile
from retunable.live.threads import run_in_daemon_thread

logger = logging.getLogger("retunable")


class Memory:
    """Writes last good items in the background; a disk that refuses is a warning."""

    def __init__(self, file: LastGoodFile, *, delay_seconds: float) -> None:
        self._file = file
        self._delay_seconds = delay_seconds
        self._hurry = asyncio.Event()
        self._waiting: LastGood | None = None
        self._saved: LastGood | None = None
        self._task: asyncio.Task[None] | None = None
        self._warned = False

    def load(self) -> LastGood | None:
        """Return what is on disk."""
        self._saved = self._file.load()
        return self._saved

    def remember(self, last_good: LastGood) -> None:
        """Have the latest items written soon; returns at once."""
        self._waiting = last_good
        if self._task is None and last_good != self._saved:
            self._task = asyncio.create_task(self._write(), name="retunable last good")

    async def flush(self, *, within_seconds: float) -> None:
        """Wait for a write that is under way."""
        self._hurry.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=within_seconds)

    async def _write(self) -> None:
        try:
            while self._waiting is not None and self._waiting != self._saved:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), self._delay_seconds)
                last_good, self._waiting = self._waiting, None
                save = partial(self._file.save, last_good)
                await run_in_daemon_thread(save, name="retunable last good")
                self._saved, self._warned = last_good, False
        except (OSError, ValueError) as error:
            if not self._warned:
                logger.warning(
                    "the last good configuration cannot be kept in %s: %s", self._file.path, error
                )
            self._warned = True
        finally:
            self._task = None
