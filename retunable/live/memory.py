"""When the last good items go to disk: soon after the swap, apart from it, the latest only.

Not at once: a write with its fsync in a thread beside the event loop made the swap after it
up to 1 ms later, and of a burst only the last state matters.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final

from retunable.config.last_good import LastGood
from retunable.live.last_good_file import LastGoodFile
from retunable.live.threads import run_in_daemon_thread
from retunable.waiting import wait_until_set

logger = logging.getLogger("retunable")

STILL_SO_SECONDS: Final = 60.0


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
        self.unchanged_at: float | None = None
        """Until when the store surely held what was on disk at ``load``; seconds since the epoch."""
        self._still_so_due = 0.0

    def load(self) -> LastGood | None:
        """Return what is on disk."""
        self._saved = self._file.load()
        self.unchanged_at = None if self._saved is None else self._file.age_mark()
        return self._saved

    def still_so(self) -> None:
        """Note now and then that the store still holds what is on disk, for the next process."""
        now = asyncio.get_running_loop().time()
        if self._task is None and now >= self._still_so_due:
            self._still_so_due = now + STILL_SO_SECONDS
            self._file.set_age_mark()

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
                await wait_until_set(self._hurry, within_seconds=self._delay_seconds)
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
