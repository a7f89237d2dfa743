"""Waits until the replicas of an agent have taken a generation, and says what each made of it.

Where a control process hears the replicas, all of them are waited for, wherever they run; else
those that this machine's folder knows are asked over HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from retunable.cli.confirmation import Confirmation, Replica, confirm, exit_code, replicas_of
from retunable.cli.exits import ExitCode
from retunable.cli.expectation import Applied, Rejected, ReleaseTaken
from retunable.cli.releasing import Desk
from retunable.cli.writing import NOBODY
from retunable.release.store.replicas import LiveReplica, live_replicas

FIRST_PAUSE_SECONDS: Final = 0.01
LAST_PAUSE_SECONDS: Final = 0.1
SETTLED: Final = timedelta(seconds=4)
"""A replica reads its store every 3 s: what it still rejects after so long it rejects for good."""
NOT_HEARD: Final = "no control process tells of replicas, so the agents of this folder were asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one replica said by its heartbeats; ``outcome`` None means nothing about it yet."""

    replica: LiveReplica
    outcome: Applied | Rejected | None
    milliseconds: float

    def line(self) -> str:
        match self.outcome:
            case Applied():
                return f"{self.replica.replica} took it after {self.milliseconds:.0f} ms"
            case Rejected(reason):
                return f"{self.replica.replica} rejects it: {reason}"
            case None:
                stands = self.replica.generation
                at = "no release" if stands is None else f"generation {stands}"
                return (
                    f"{self.replica.replica} did not confirm it: it is {self.replica.status} and "
                    f"runs on {at}"
                )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form of the command's result."""
        said = {Applied: "applied", Rejected: "rejected"}.get(type(self.outcome), "not_confirmed")
        return {
            "replica": self.replica.replica,
            "outcome": said,
            "reason": self.outcome.reason if isinstance(self.outcome, Rejected) else None,
            "generation": self.replica.generation,
            "milliseconds": round(self.milliseconds, 1),
        }


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of the waiting: lines for people, the JSON form, and how the command ends."""

    lines: tuple[str, ...]
    replicas: tuple[dict[str, Any], ...]
    code: ExitCode


NOTHING: Final = Taken((), (), ExitCode.OK)
"""Nobody was waited for."""


class Waiting:
    """Begun before a publication, so that what replicas said before is known."""

    def __init__(self, desk: Desk, *, seconds: float | None) -> None:
        self._desk = desk
        self._seconds = seconds
        self._here: tuple[Replica, ...] = ()
        self._before: dict[str, LiveReplica] = {}
        if seconds is not None:
            self._before = {one.replica: one for one in self._live()}
            if not self._before:
                self._here = replicas_of(desk.target.replicas)

    def until_taken(self, generation: int) -> Taken:
        """Wait for a generation that was published just now."""
        if self._seconds is None:
            return NOTHING
        published_at = time.monotonic()
        if self._before:
            return _summary(self._heard(generation, published_at))
        return self._asked(generation, published_at)

    def _asked(self, generation: int, published_at: float) -> Taken:
        expected = ReleaseTaken(self._desk.site.document, generation)
        said = confirm(
            self._here, (expected,), written_at=published_at, timeout_seconds=self._seconds or 0.0
        )
        lines = [_line(one) for one in said] or [f"not confirmed: {NOBODY}"]
        return Taken(
            (*lines, NOT_HEARD),
            tuple(one.to_json() for one in said),
            exit_code([one.outcome for one in said], waited=True),
        )

    def _heard(self, generation: int, published_at: float) -> tuple[Heard, ...]:
        deadline = published_at + (self._seconds or 0.0)
        took: dict[str, float] = {}
        pause = FIRST_PAUSE_SECONDS
        published = self._now()
        while True:
            live = self._live()
            since = (time.monotonic() - published_at) * 1000
            found = tuple(
                Heard(
                    replica=one,
                    outcome=self._outcome(one, generation, rejects_since=published + SETTLED),
                    milliseconds=took.setdefault(one.replica, since)
                    if (one.generation or 0) >= generation
                    else since,
                )
                for one in live
            )
            rejected = any(isinstance(one.outcome, Rejected) for one in found)
            open_still = any(one.outcome is None for one in found)
            if rejected or not open_still or time.monotonic() + pause > deadline:
                return found
            time.sleep(pause)
            pause = min(pause * 1.5, LAST_PAUSE_SECONDS)

    def _outcome(
        self, one: LiveReplica, generation: int, *, rejects_since: datetime
    ) -> Applied | Rejected | None:
        if (one.generation or 0) >= generation:
            return Applied()
        reason = self._rejection(one)
        before = self._before.get(one.replica)
        known = before is not None and self._rejection(before) == reason
        if reason is not None and (not known or one.seen_at > rejects_since):
            return Rejected(reason)
        return None

    def _rejection(self, one: LiveReplica) -> str | None:
        key = self._desk.site.document
        return next((refused.reason for refused in one.rejected if refused.key == key), None)

    def _live(self) -> tuple[LiveReplica, ...]:
        site = self._desk.site
        with self._desk.plane.store.snapshot() as work:
            return live_replicas(work, site.agent, environment=site.environment)

    def _now(self) -> datetime:
        with self._desk.plane.store.snapshot() as work:
            return work.now


def _summary(heard: Sequence[Heard]) -> Taken:
    lines = [one.line() for one in heard]
    outcomes = [one.outcome for one in heard]
    if not heard:
        lines.append("not confirmed: no replica is left that a heartbeat comes from")
    elif all(isinstance(outcome, Applied) for outcome in outcomes):
        longest = max(one.milliseconds for one in heard)
        lines.append(f"all {len(heard)} live replicas took it within {longest:.0f} ms")
    return Taken(
        tuple(lines),
        tuple(one.to_json() for one in heard),
        exit_code(outcomes, waited=True),
    )


def _line(confirmation: Confirmation) -> str:
    who = f"{confirmation.record.agent} (pid {confirmation.record.pid})"
    match confirmation.outcome:
        case Applied():
            return f"{who} took it after {confirmation.milliseconds:.0f} ms"
        case Rejected(reason):
            return f"{who} rejects it: {reason}"
        case None:
            return f"{who} did not confirm it: {confirmation.why}"
