"""A rollout as an envelope carries it: who is on the canary now, and who is compared with whom.

Each stage adds one cohort: the users that it newly puts on the canary, and a control of users
who stay on stable. The ranges are fixed before the start and disjoint, so that a user is in one
cohort and one arm for the whole rollout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple

from retunable.config.shape import a_list, a_text, a_whole_number, check_names, some_buckets, wrong
from retunable.config.split import BUCKETS

Arm = Literal["canary", "control"]

LAST_TESTED: Final = BUCKETS // 2
"""Above half of the users nobody is left to compare with: a stage beyond it enrols nobody."""

_PARTS: Final = ("id", "salt", "stages", "stage", "control_percent")


@dataclass(frozen=True, slots=True)
class Cohort:
    """The buckets that one stage enrols, on each side."""

    stage: int
    canary: range
    control: range

    @property
    def canary_share(self) -> float:
        """The part of the cohort's users that is on the canary: w."""
        return len(self.canary) / (len(self.canary) + len(self.control))


class Place(NamedTuple):
    """Where a user stands in the comparison."""

    cohort: int
    arm: Arm


@dataclass(frozen=True)
class Rollout:
    """A rollout: ``stages`` are shares of the users in buckets, ``stage`` the index of now.

    ``control`` is how wide the first stage's control is, in buckets; None for as wide as its
    canary.
    """

    id: str
    salt: str
    stages: tuple[int, ...]
    stage: int
    control: int | None = None

    @cached_property
    def cohorts(self) -> tuple[Cohort, ...]:
        """The cohorts of all stages that compare, also of those to come."""
        return cohorts_of(self.stages, control=self.control)

    def is_canary(self, bucket: int) -> bool:
        """Tell whether a bucket is on the canary at the stage of now."""
        return bucket < self.stages[self.stage]

    def place(self, bucket: int) -> Place | None:
        """Return the cohort and arm of a bucket; None where no stage up to now compares it."""
        return next((place for buckets, place in self._places if bucket in buckets), None)

    @cached_property
    def _places(self) -> tuple[tuple[range, Place], ...]:
        """The buckets that are compared now, each range with the one place that all of it share."""
        return tuple(
            pair
            for cohort in self.cohorts[: self.stage + 1]
            for pair in (
                (cohort.canary, Place(cohort.stage, "canary")),
                (cohort.control, Place(cohort.stage, "control")),
            )
        )


def cohorts_of(stages: Sequence[int], *, control: int | None = None) -> tuple[Cohort, ...]:
    """Return a cohort for each stage of at most half of the users.

    Stage s enrols the canary buckets [p(s-1), p(s)) and a control just as wide, from the other
    end. A wider first control (``control`` buckets) pushes the later ones inwards; they are cut
    where the last canary begins. A control may come out empty; ``parse_rollout`` refuses that.
    """
    tested = [edge for edge in stages if edge <= LAST_TESTED]
    innermost = tested[-1] if tested else 0
    cohorts: list[Cohort] = []
    upper = BUCKETS
    for stage, (below, edge) in enumerate(pairwise((0, *tested))):
        width = control if stage == 0 and control is not None else edge - below
        lower = max(upper - width, innermost)
        cohorts.append(Cohort(stage, range(below, edge), range(lower, upper)))
        upper = lower
    return tuple(cohorts)


def parse_rollout(value: object) -> Rollout | None:
    """Read an envelope's rollout; null is none.

    Raises:
        Refused: a part is missing or wrong, or the stages do not grow, or leave no control.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        wrong("rollout", "must be null or an object")
    check_names(value, required=_PARTS, part="rollout")
    rollout = Rollout(
        id=a_text("rollout.id", value["id"]),
        salt=a_text("rollout.salt", value["salt"]),
        stages=_stages(value["stages"]),
        stage=a_whole_number("rollout.stage", value["stage"], lowest=0),
        control=_control(value["control_percent"]),
    )
    if rollout.stage >= len(rollout.stages):
        wrong("rollout.stage", f"must be below {len(rollout.stages)}, the number of stages")
    if any(not cohort.control for cohort in rollout.cohorts):
        wrong("rollout.control_percent", "leaves a later stage without a control")
    return rollout


def _stages(value: Any) -> tuple[int, ...]:
    edges = tuple(some_buckets("rollout.stages", percent) for percent in a_list("stages", value))
    if not edges or any(edge <= before for before, edge in pairwise((0, *edges))):
        wrong("rollout.stages", "must be percents above 0 that grow, like [1, 5, 25, 50]")
    return edges


def _control(value: Any) -> int | None:
    if value is None:
        return None
    return some_buckets("rollout.control_percent", value) or wrong(
        "rollout.control_percent", "must be above 0, or null for as wide as the canary"
    )
