"""Flags that this agent turned off because they have expired, by its own clock: said once each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from typing import Final

from retunable.config.flags import Flag
from retunable.config.snapshot import Snapshot

_log = logging.getLogger("retunable")

LOOK_SECONDS: Final = 60.0
"""At the latest: the wall clock may be set, and a timer does not follow it."""


def expired(snapshot: Snapshot, *, now: float) -> tuple[Flag, ...]:
    """Return the flags that would be on for somebody, had they not expired."""
    return tuple(flag for flag in snapshot.flags if flag.enabled and now >= flag.expires_at)


class ExpiredFlags:
    """Watches the flags of one agent's snapshot, on its event loop."""

    def __init__(
        self, *, on_expiry: Callable[[], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._on_expiry = on_expiry
        self._clock = clock
        self._said: set[tuple[str, float]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._snapshot: Snapshot | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that have expired by now."""
        if self._snapshot is None:
            return ()
        return tuple(flag.name for flag in expired(self._snapshot, now=self._clock()))

    def watch(self, snapshot: Snapshot) -> None:
        """Say what has expired in a snapshot, and go on looking until the next one."""
        self._snapshot = snapshot
        self._look()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self.close()
        snapshot, now = self._snapshot, self._clock()
        if snapshot is None:
            return
        flags = expired(snapshot, now=now)
        standing = {(flag.name, flag.expires_at) for flag in flags}
        for flag in flags:
            if (flag.name, flag.expires_at) not in self._said:
                moment = datetime.fromtimestamp(flag.expires_at, UTC)
                _log.warning(
                    "flag %s expired at %s and is off; take it away, or publish it with a later end",
                    flag.name,
                    moment.isoformat(timespec="seconds"),
                )
        news, self._said = standing - self._said, standing
        if news:
            self._on_expiry()
        next_end = min((end for end in snapshot.flag_expiries if end > now), default=inf)
        if next_end < inf:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(next_end - now, LOOK_SECONDS), self._look)
