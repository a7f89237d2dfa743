"""What happens by itself: timers that are over, and ended instances that are forgotten."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from retunable.sidecar.workflow import tables
from retunable.waiting import wait_until_set

CLOCK_LOOK_SECONDS: Final = 1.0
FORGOTTEN_AT_ONCE: Final = 50

_SECOND: Final = 1_000_000_000
_DAY: Final = 86_400 * _SECOND


@dataclass(frozen=True, slots=True)
class Retention:
    """How long ended instances are kept: no longer than ``days``, no more than ``instances``."""

    days: float = 7.0
    instances: int = 10_000


class Alarm:
    """Waits for the next timer by a clock that people and time servers may set.

    Put forward (or after a sleep of the machine), timers come early or at their time. Put back, no
    timer waits longer than it was set for. So the clock is looked at every second.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._seen_at: int | None = None
        self._due: int | None = None
        self._earlier = asyncio.Event()

    def set_due(self, due: int | None) -> None:
        """Say when the next timer is over; what was said since the last wait still holds."""
        known = [at for at in (due, self._due) if at is not None]
        self._due = min(known, default=None)

    def look_again(self) -> None:
        """Say that a timer was added, which may be over before all others."""
        self._due = 0
        self._earlier.set()

    async def wait(self) -> bool:
        """Wait until a timer may be over; tell whether the clock was put back, or may have been.

        The first time it may: nobody saw what was done to the clock before.
        """
        while True:
            now = self._now()
            put_back = self._seen_at is None or now < self._seen_at
            self._seen_at = now
            if put_back or (self._due is not None and self._due <= now):
                self._due = None
                return put_back
            left = CLOCK_LOOK_SECONDS
            if self._due is not None:
                left = min(left, (self._due - now) / _SECOND)
            self._earlier.clear()
            await wait_until_set(self._earlier, within_seconds=left)


def forget_some(connection: sqlite3.Connection, retention: Retention, *, now: int) -> int:
    """Forget a few of the ended instances that are too old or too many; tell how many."""
    too_old = tables.finished_before(
        connection, at=now - int(retention.days * _DAY), limit=FORGOTTEN_AT_ONCE
    )
    too_many = tables.finished_beyond(
        connection, count=retention.instances, limit=FORGOTTEN_AT_ONCE
    )
    doomed = {*too_old, *too_many}
    for key in doomed:
        tables.delete(connection, key)
    return len(doomed)
