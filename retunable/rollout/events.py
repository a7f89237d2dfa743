"""What the data plane tells of a run: that it started, how it ended, how it was liked.

Each is told at least once and in any order. An outcome repeats the exposure of its run, so that
an exposure that was lost on the way costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from retunable.config.stages import Place
from retunable.rollout.metrics import Limits, Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A run started. ``user`` is a keyed hash, None for a caller without a user id.

    ``place`` is where the envelope that the run began on put its user. ``pinned_before`` says
    that its conversation was pinned to a config before the user's cohort was opened.
    ``tool_code`` is the digest of the tools that it began on, "" where nobody told. Times are in
    seconds since the epoch.
    """

    run: str
    user: str | None
    place: Place | None
    started_at: float
    pinned_before: bool = False
    tool_code: str = ""

    @property
    def is_comparable(self) -> bool:
        """Whether it may count for its user, if it has one."""
        return self.place is not None and not self.pinned_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run ended; ``cost`` is None where nobody knows it."""

    exposure: Exposure
    failed: bool = False
    guardrail_failures: int = 0
    limit_hit: bool = False
    latency_seconds: float = 0.0
    cost: float | None = None

    def bad(self, limits: Limits) -> frozenset[Metric]:
        """Return what is bad about this run by itself."""
        answers = {
            Metric.ERROR: self.failed,
            Metric.GUARDRAIL: self.guardrail_failures > 0,
            Metric.LIMIT: self.limit_hit,
            Metric.SLOW: self.latency_seconds > limits.slow_above_seconds,
            Metric.COSTLY: limits.is_costly(self.cost),
        }
        return frozenset(metric for metric, bad in answers.items() if bad)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """Somebody rated a run's answer."""

    exposure: Exposure
    liked: bool


Event = Exposure | Outcome | Rating
