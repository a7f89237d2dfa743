"""Waits until every replica that a control process hears of has said what it makes of a write.

By its heartbeats in the release store, wherever it runs; what they mean is judged in ``expectation``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from retunable.cli.confirmation import Taken
from retunable.cli.expectation import Applied, Expectation, Rejected, verdict_heard
from retunable.release.store.replicas import LiveReplica, live_replicas

if TYPE_CHECKING:
    from retunable.release.store.release_store import ReleaseStore

FIRST_PAUSE_SECONDS: Final = 0.01
LAST_PAUSE_SECONDS: Final = 0.1
SETTLED: Final = timedelta(seconds=4)
"""A replica reads its store every 3 s: what it still rejects after so long it rejects for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one replica said by its heartbeats; ``outcome`` None means nothing about it yet."""

    replica: LiveReplica
    outcome: Applied | Rejected | None
    milliseconds: float

    def line(self) -> str:
        match self.outcome:
            case Applied(hidden):
                note = f"; {', '.join(hidden)} stay covered by field keys" if hidden else ""
                return f"{self.replica.replica} took it after {self.milliseconds:.0f} ms{note}"
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


class Hearing:
    """Begun before a write, so that what replicas said before is known."""

    def __init__(self, store: ReleaseStore, agent: str, *, environment: str) -> None:
        self._store = store
        self._agent = agent
        self._environment = environment
        self._took: dict[str, float] = {}
        live, self._written = self._live()
        self._before = {one.replica: one for one in live}

    @property
    def anybody(self) -> bool:
        """Whether a control process tells of any live replica."""
        return bool(self._before)

    def until_taken(
        self, expectations: tuple[Expectation, ...], *, written_at: float, seconds: float
    ) -> Taken:
        """Wait for what was written just now; ``written_at`` is a time of the monotonic clock."""
        pause = FIRST_PAUSE_SECONDS
        live, self._written = self._live()
        while True:
            since = time.monotonic() - written_at
            heard = tuple(self._heard(one, expectations, since) for one in live)
            rejected = any(isinstance(one.outcome, Rejected) for one in heard)
            open_still = any(one.outcome is None for one in heard)
            if rejected or not open_still or since + pause > seconds:
                return _summary(heard)
            time.sleep(pause)
            pause = min(pause * 1.5, LAST_PAUSE_SECONDS)
            live, _ = self._live()

    def _heard(
        self, one: LiveReplica, expectations: tuple[Expectation, ...], since: float
    ) -> Heard:
        outcome = verdict_heard(
            expectations,
            before=self._before.get(one.replica),
            now=one,
            settled=one.seen_at > self._written + SETTLED,
        )
        if isinstance(outcome, Applied):
            since = self._took.setdefault(one.replica, since)
        return Heard(replica=one, outcome=outcome, milliseconds=since * 1000)

    def _live(self) -> tuple[tuple[LiveReplica, ...], datetime]:
        """Return who is heard of, and when that is by the database's clock."""
        with self._store.snapshot() as work:
            return live_replicas(work, self._agent, environment=self._environment), work.now


def _summary(heard: Sequence[Heard]) -> Taken:
    lines = [one.line() for one in heard]
    if not heard:
        lines.append("not confirmed: no replica is left that a heartbeat comes from")
    elif all(isinstance(one.outcome, Applied) for one in heard):
        longest = max(one.milliseconds for one in heard)
        lines.append(f"all {len(heard)} live replicas took it within {longest:.0f} ms")
    return Taken.of(heard, lines)
