"""Which sighting of a change is the same change that another replica saw in steps.

Pure. A replica that reads A and then C tells of A->C where another one read A, B and C: it saw the
same, more coarsely. So a change is left out where a single replica told of steps that lead from its
old value to its new one within its times, and it is told by none who told of these steps. What a command
of ours wrote is a step too, whoever saw it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One change of one item, told by some replicas; the times are in milliseconds since the epoch.

    ``number`` is that of its audit entry, and of no other. ``by`` is ``OURS`` for a command's write.
    """

    number: int
    item: tuple[str, ...]
    old: str | None
    new: str | None
    not_before_ms: int
    not_after_ms: int
    by: frozenset[str]


OURS: Final = frozenset[str]()
Steps = tuple[Sighting, ...]
NO_STEPS: Final[Steps] = ()


def in_steps(change: Sighting, others: Iterable[Sighting]) -> Steps:
    """Return the steps, two or more, in which a single replica saw a change; none where none did."""
    near = [other for other in others if _may_be_step(other, of=change)]
    for replica in sorted(set[str]().union(*(one.by for one in near))):
        steps = _way(change, [one for one in near if one.by == OURS or replica in one.by])
        if steps:
            return steps
    return NO_STEPS


def coarse(sightings: Collection[Sighting]) -> frozenset[int]:
    """Return the numbers of those that others told in steps; it matters not who told first.

    The widest are asked about first, and what is left out is no step of another any more: two that
    seem to be steps of each other do not both go. Each replica's sighting is another change, so that
    no two of its own end in the same step.
    """
    left = {one.number: one for one in sightings}
    ends: set[tuple[str, int]] = set()
    for change in sorted((one for one in sightings if one.by != OURS), key=_widest_first):
        fresh = (
            one
            for one in left.values()
            if one.new != change.new or not any((by, one.number) in ends for by in change.by)
        )
        if steps := in_steps(change, fresh):
            ends |= {(by, steps[-1].number) for by in change.by}
            del left[change.number]
    return frozenset(one.number for one in sightings if one.number not in left)


def _may_be_step(other: Sighting, *, of: Sighting) -> bool:
    return (
        other.item == of.item
        and (other.old, other.new) != (of.old, of.new)
        and not other.by & of.by
        and other.not_before_ms <= of.not_after_ms
        and other.not_after_ms >= of.not_before_ms
    )


def _way(change: Sighting, steps: Sequence[Sighting]) -> Steps:
    """Return how the steps lead from old to new, each at a moment not before that of the last."""
    # Per value the earliest moment at which it may stand there, and the steps up to it.
    reached: dict[str | None, tuple[int, Steps]] = {change.old: (change.not_before_ms, NO_STEPS)}
    moved = True
    while moved:
        moved = False
        for step in steps:
            if step.old not in reached:
                continue
            since, before = reached[step.old]
            at = max(since, step.not_before_ms)
            possible = at <= min(step.not_after_ms, change.not_after_ms)
            if possible and (step.new not in reached or at < reached[step.new][0]):
                reached[step.new] = (at, (*before, step))
                moved = True
    return reached.get(change.new, (0, NO_STEPS))[1]


def _widest_first(one: Sighting) -> tuple[object, ...]:
    width = one.not_after_ms - one.not_before_ms
    told = (one.item, one.old or "", one.new or "", one.not_before_ms, tuple(sorted(one.by)))
    return (-width, *told)
