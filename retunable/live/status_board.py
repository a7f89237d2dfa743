"""Where an agent's status changes, and everybody who is told: log, counter, callbacks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from retunable.live.callbacks import Callbacks
from retunable.live.health import Event, Health, LiveStatus, Reason, Status, advance, judge
from retunable.live.stream_health import StreamHealth
from retunable.live.subscription import Timings

logger = logging.getLogger("retunable")


class StatusBoard:
    """The status of one agent's live configuration; ``clock`` becomes the event loop's."""

    def __init__(self, agent: str, timings: Timings) -> None:
        self.callbacks: Callbacks[LiveStatus] = Callbacks()
        self.clock: Callable[[], float] = time.monotonic
        self._agent = agent
        self._timings = timings
        self._health = Health()
        self._stream = StreamHealth()
        self._alerts = 0
        self._told = self.status

    @property
    def status(self) -> LiveStatus:
        """The status at this moment."""
        now = self.clock()
        state, reason, detail = judge(
            self._health, now=now, stale_after_seconds=self._timings.stale_after_seconds
        )
        read_at = self._health.last_read_at
        return LiveStatus(
            state,
            reason,
            detail,
            stream=self._stream.state,
            age_seconds=None if read_at is None else max(0.0, now - read_at),
            replacements=self._stream.replacements,
            last_replacement_cause=self._stream.last_cause,
            alerts=self._alerts,
        )

    def note(self, *events: Event) -> None:
        """Take in what happened, as one transition."""
        for event in events:
            self._health = advance(self._health, event)
        self._tell()

    def stream_changed(self, health: StreamHealth) -> None:
        """Take in what is known about the stream."""
        self._stream = health
        self._tell()

    def _tell(self) -> None:
        old, new = self._told, self.status
        if _gist(old) == _gist(new):
            return
        if (old.state, old.reason) != (new.state, new.reason):
            new = self._logged(old, new)
        self._told = new
        self.callbacks.tell(old, new)

    def _logged(self, old: LiveStatus, new: LiveStatus) -> LiveStatus:
        """Log a transition; an alert is counted."""
        if new.state is not Status.READY:
            self._alerts += 1
            logger.error(
                "Agent %s: configuration is %s (%s) %s",
                self._agent,
                new.state.value,
                new.reason.value if new.reason else "",
                new.detail,
            )
        elif old.reason is not Reason.STARTING:
            logger.info(
                "Agent %s: configuration is ready again (was %s: %s)",
                self._agent,
                old.state.value,
                old.reason.value if old.reason else "",
            )
        return replace(new, alerts=self._alerts)


def _gist(status: LiveStatus) -> tuple[object, ...]:
    """What a transition is: ages and texts change all the time."""
    return (status.state, status.reason, status.stream, status.replacements)
