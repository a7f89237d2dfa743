"""The rules of a rollout, named before it starts: what is judged, and how sure it must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from retunable.errors import ConfigurationError
from retunable.rollout.margin import MARGIN
from retunable.rollout.metrics import TESTED, Metric
from retunable.rollout.ratio import DOWN, WORST_RATIO

DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Judged:
    """A metric that must have its evidence before a promotion.

    By ratio of bad rates; with a ``margin`` by the difference of bad rates instead.
    """

    metric: Metric
    margin: float | None = None


DEFAULT_JUDGED: Final = (
    Judged(Metric.ERROR),
    Judged(Metric.GUARDRAIL, margin=MARGIN),
    Judged(Metric.LIMIT, margin=MARGIN),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things take: when users mature, when a stage may grow, when it is too late.

    A stage grows on ``stage_users`` matured canary users of its own and ``stage_seconds``.
    """

    window_seconds: float = 600.0
    run_timeout_seconds: float = 600.0
    stage_users: int = 50
    stage_seconds: float = 3600.0
    canary_users: int = 200
    deadline_seconds: float = 7 * DAY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequential:
    """Judge by evidence that may be looked at at any time.

    ``alpha`` is the chance that a canary no worse than stable is ever rolled back, over all
    tested metrics; 1 / ``promote_at`` the chance that one at the bound is promoted, over any
    one judged metric.
    """

    judged: tuple[Judged, ...] = DEFAULT_JUDGED
    alpha: float = 0.005
    promote_at: float = 1000.0
    worst_ratio: float = WORST_RATIO
    pace: Pace = Pace()

    def __post_init__(self) -> None:
        metrics = [one.metric for one in self.judged]
        if not metrics or len(set(metrics)) < len(metrics) or set(metrics) - set(TESTED):
            raise ConfigurationError(
                f"judged metrics must be one or more of {', '.join(TESTED)}, each once"
            )
        if any(one.margin is not None and not 0 < one.margin < 1 for one in self.judged):
            raise ConfigurationError("a margin is a difference of rates: above 0, below 1")
        if not (0 < self.alpha < 1 < self.promote_at and self.worst_ratio > max(DOWN)):
            raise ConfigurationError(
                f"alpha lies between 0 and 1, promote_at above 1, worst_ratio above {max(DOWN)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Classical:
    """Compare error rates as they stand, from a minimum sample on.

    Kept because people ask for it; it promises nothing, and ``WARNING`` is printed with it.
    """

    minimum_users: int
    roll_back_above: float = 1.5
    promote_up_to: float = 1.1
    pace: Pace = Pace()

    def __post_init__(self) -> None:
        if self.minimum_users < 1 or not 0 < self.promote_up_to <= self.roll_back_above:
            raise ConfigurationError(
                "minimum_users is at least 1, and promote_up_to not above roll_back_above"
            )


WARNING: Final = (
    "the classical rule compares error rates without asking how sure they are: "
    "on at most one expected error it rolls back a healthy canary in 30 % of rollouts"
)

Policy = Sequential | Classical


def share_of_alpha(restarts: int) -> float:
    """Return the part of α that an analysis has: all at first, 2^-k after the k-th restart.

    All analyses of one rollout together spend at most twice α.
    """
    return 0.5**restarts
