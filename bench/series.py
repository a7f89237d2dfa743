"""What was measured: a series of one quantity, and two of them side by side."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["s", "ms", "MB"]
Verdict = Literal["met", "MISSED", "reported"]


@dataclass(frozen=True, slots=True)
class Series:
    """At least two values in one unit, in the order in which they were measured."""

    values: tuple[float, ...]

    @property
    def p50(self) -> float:
        return statistics.median(self.values)

    @property
    def p99(self) -> float:
        return self._percentile(99)

    @property
    def spread(self) -> float:
        """How noisy it was: the middle half of the values is this wide, as a part of the median."""
        return (self._percentile(75) - self._percentile(25)) / self.p50

    def _percentile(self, percent: int) -> float:
        return statistics.quantiles(self.values, n=100, method="inclusive")[percent - 1]

    def to_json(self) -> dict[str, float]:
        return {
            "count": len(self.values),
            "p50": self.p50,
            "p99": self.p99,
            "spread": self.spread,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One quantity of ours beside the floor's; a goal of None is not set."""

    measure: str
    quantity: str
    unit: Unit
    floor: Series
    ours: Series
    most_times_floor: float | None = None
    most_p50: float | None = None
    most_p99: float | None = None

    @property
    def ratio(self) -> float:
        """Our median as a multiple of the floor's."""
        return self.ours.p50 / self.floor.p50

    @property
    def verdict(self) -> Verdict:
        limits = (
            (self.ratio, self.most_times_floor),
            (self.ours.p50, self.most_p50),
            (self.ours.p99, self.most_p99),
        )
        set_ones = [(value, most) for value, most in limits if most is not None]
        if not set_ones:
            return "reported"
        return "met" if all(value <= most for value, most in set_ones) else "MISSED"

    @property
    def goal(self) -> str:
        """The goal in words; empty where none is set."""
        parts = []
        if self.most_times_floor is not None:
            parts.append(f"p50 ≤ {self.most_times_floor:g} ×")
        if self.most_p50 is not None:
            parts.append(f"p50 ≤ {self.most_p50:g} {self.unit}")
        if self.most_p99 is not None:
            parts.append(f"p99 ≤ {self.most_p99:g} {self.unit}")
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "quantity": self.quantity,
            "unit": self.unit,
            "floor": self.floor.to_json(),
            "ours": self.ours.to_json(),
            "ratio": self.ratio,
            "goal": self.goal,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one measure found, and what it saw besides."""

    comparisons: tuple[Comparison, ...]
    remarks: tuple[str, ...] = ()
