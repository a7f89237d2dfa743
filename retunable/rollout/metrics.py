"""The metrics of a rollout: each asks one yes-or-no question of a user."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Final


class Metric(StrEnum):
    """What may be bad about a user's runs."""

    ERROR = "error"
    GUARDRAIL = "guardrail failure"
    LIMIT = "iteration limit hit"
    SLOW = "slow"
    COSTLY = "costly"
    DISLIKED = "thumbs down"


TESTED: Final = (Metric.ERROR, Metric.GUARDRAIL, Metric.LIMIT, Metric.SLOW, Metric.COSTLY)
"""The metrics that can roll a canary back; ``DISLIKED`` may raise an alarm only."""

OF_FIRST_RUN: Final = frozenset({Metric.SLOW, Metric.COSTLY})
"""Judged by a user's first run alone: a variant may change how many runs follow it."""

NOTHING_BAD: Final[frozenset[Metric]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What counts as slow and costly: stable's p95, frozen before the start.

    ``unpriced_is_costly`` where a rollout is promoted on its cost: a canary on a model without a
    price must not look free.
    """

    slow_above_seconds: float = inf
    costly_above: float = inf
    unpriced_is_costly: bool = False

    def is_costly(self, cost: float | None) -> bool:
        """Tell whether a run cost too much; None where nobody knows what it cost."""
        return self.unpriced_is_costly if cost is None else cost > self.costly_above
