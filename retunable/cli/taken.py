"""Waits until the replicas of an agent have taken a generation, and says what each made of it.

Where a control process hears the replicas, all of them are waited for, wherever they run; else
those that this machine's folder knows are asked over HTTP.
"""

from __future__ import annotations

import time
from typing import Final

from retunable.cli.confirmation import (
    NOBODY,
    NOT_HEARD,
    Confirmation,
    Replica,
    Taken,
    confirm,
    replicas_of,
)
from retunable.cli.exits import ExitCode
from retunable.cli.expectation import Applied, Rejected, ReleaseTaken
from retunable.cli.hearing import Hearing
from retunable.cli.releasing import Desk

NOTHING: Final = Taken((), (), ExitCode.OK)
"""Nobody was waited for."""


class Waiting:
    """Begun before a publication, so that what replicas said before is known."""

    def __init__(self, desk: Desk, *, seconds: float | None) -> None:
        self._document = desk.site.document
        self._seconds = seconds
        self._hearing: Hearing | None = None
        self._here: tuple[Replica, ...] = ()
        if seconds is None:
            return
        site = desk.site
        hearing = Hearing(desk.plane.store, site.agent, environment=site.environment)
        if hearing.anybody:
            self._hearing = hearing
        else:
            self._here = replicas_of(desk.target.replicas, seconds=desk.patience_seconds)

    def until_taken(self, generation: int) -> Taken:
        """Wait for a generation that was published just now."""
        if self._seconds is None:
            return NOTHING
        expected = (ReleaseTaken(self._document, generation),)
        now = time.monotonic()
        if self._hearing is not None:
            return self._hearing.until_taken(expected, written_at=now, seconds=self._seconds)
        said = confirm(self._here, expected, written_at=now, timeout_seconds=self._seconds)
        lines = [_line(one) for one in said] or [f"not confirmed: {NOBODY}"]
        return Taken.of(said, (*lines, NOT_HEARD))


def _line(confirmation: Confirmation) -> str:
    who = f"{confirmation.record.agent} (pid {confirmation.record.pid})"
    match confirmation.outcome:
        case Applied():
            return f"{who} took it after {confirmation.milliseconds:.0f} ms"
        case Rejected(reason):
            return f"{who} rejects it: {reason}"
        case None:
            return f"{who} did not confirm it: {confirmation.why}"
