"""Sightings of one store by many replicas: each change stands once, in whatever order they told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from retunable.release.store.sightings import Sighting, coarse, in_steps

ITEM = ("support", "default", "agent_role")
Change = tuple[str | None, str | None]


def sighting(
    number: int, change: str, between: tuple[int, int], *by: str, item: tuple[str, ...] = ITEM
) -> Sighting:
    """``A>B`` between two moments; nothing on a side is an absent key."""
    old, _, new = change.partition(">")
    return Sighting(
        number=number,
        item=item,
        old=old or None,
        new=new or None,
        not_before_ms=between[0],
        not_after_ms=between[1],
        by=frozenset(by),
    )


FINE = (sighting(1, "A>B", (0, 4), "fine"), sighting(2, "B>C", (3, 8), "fine"))
WIDE = sighting(3, "A>C", (1, 9), "wide")


def test_what_another_saw_in_steps_is_left_out() -> None:
    assert in_steps(WIDE, FINE) == FINE
    assert coarse([*FINE, WIDE]) == {3}


def test_a_key_that_came_and_went_is_a_step_too() -> None:
    steps = (sighting(1, "A>", (0, 4), "fine"), sighting(2, ">C", (3, 8), "fine"))
    assert coarse([*steps, WIDE]) == {3}


def test_steps_of_different_replicas_prove_nothing() -> None:
    first, second = FINE
    assert coarse([first, replace(second, by=frozenset({"other"})), WIDE]) == frozenset()


def test_a_replica_that_saw_a_step_itself_saw_another_change() -> None:
    first, second = FINE
    both = replace(first, by=frozenset({"fine", "wide"}))
    assert coarse([both, second, WIDE]) == frozenset()


def test_steps_lie_within_the_times_and_in_their_order() -> None:
    late = sighting(2, "B>C", (10, 12), "fine")
    backwards = (sighting(1, "A>B", (6, 8), "fine"), sighting(2, "B>C", (2, 4), "fine"))
    assert coarse([FINE[0], late, WIDE]) == frozenset()
    assert coarse([*backwards, WIDE]) == frozenset()


def test_items_do_not_cross() -> None:
    other = sighting(3, "A>C", (1, 9), "wide", item=("billing", "default", "agent_role"))
    assert coarse([*FINE, other]) == frozenset()


def test_of_two_steps_with_one_end_the_earlier_one_counts() -> None:
    late, early = sighting(1, "A>B", (6, 9), "fine"), sighting(2, "A>B", (0, 2), "fine")
    assert coarse([late, early, sighting(4, "B>C", (2, 4), "fine"), WIDE]) == {3}


@pytest.mark.parametrize(("wider", "left_out"), [("A>C", 4), ("B>C", 2)])
def test_of_two_that_seem_to_be_steps_of_each_other_the_wider_is_left_out(
    wider: str, left_out: int
) -> None:
    def between(change: str) -> tuple[int, int]:
        return (0, 9) if change == wider else (1, 8)

    found = [
        sighting(1, "A>B", (1, 8), "r1", "r2"),
        sighting(2, "B>C", between("B>C"), "r1"),
        sighting(3, "B>A", (1, 8), "r2", "r3"),
        sighting(4, "A>C", between("A>C"), "r3"),
    ]
    assert coarse(found) == {left_out}


def test_two_of_one_replica_do_not_end_in_the_same_step() -> None:
    again = sighting(4, "A>C", (2, 9), "wide")
    assert len(coarse([*FINE, WIDE, again])) == 1


@dataclass(frozen=True)
class World:
    """What happened, and what was told of it, in the order of its arrival."""

    happened: tuple[Change, ...]
    told: tuple[Sighting, ...]


@st.composite
def worlds(draw: st.DrawFn, *, values: st.SearchStrategy[str] | None = None) -> World:
    """One replica reads after every change, others now and then; a time may begin too early."""
    count = draw(st.integers(1, 7))
    names = [f"v{number}" for number in range(count + 1)]
    if values is not None:
        drawn = draw(st.lists(values, min_size=count + 1, max_size=count + 1))
        names = [name for place, name in enumerate(drawn) if place == 0 or name != drawn[place - 1]]
    # Change number n happens at 100 * n; who reads at a moment reads the last one before it.
    readings = {"fine": [100 * number + 50 for number in range(len(names))]}
    for replica in ("r1", "r2", "r3"):
        moments = st.lists(st.integers(1, 100 * len(names)), min_size=2, unique=True)
        readings[replica] = sorted(draw(moments))
    told = [
        seen
        for replica, moments in readings.items()
        for seen in changes_between(names, moments, replica, leeway=draw(st.integers(0, 300)))
    ]
    order = draw(st.permutations(told))
    return World(tuple(pairwise(names)), tuple(order))


def changes_between(
    names: Sequence[str], moments: Sequence[int], replica: str, *, leeway: int
) -> list[Sighting]:
    read = [(moment, names[min(moment // 100, len(names) - 1)]) for moment in moments]
    return [
        sighting(0, f"{old}>{new}", (before - leeway, now), replica)
        for (before, old), (now, new) in pairwise(read)
        if old != new
    ]


def entered(told: Sequence[Sighting]) -> list[Sighting]:
    """Enter them as the audit does, each change under the times of whoever told of it first."""
    entries: list[Sighting] = []
    for one in told:
        same = (
            place
            for place, entry in enumerate(entries)
            if (entry.old, entry.new) == (one.old, one.new)
            and entry.not_before_ms <= one.not_after_ms
            and entry.not_after_ms >= one.not_before_ms
            and not entry.by & one.by
        )
        place = next(same, None)
        if place is None:
            entries.append(replace(one, number=len(entries)))
        else:
            entries[place] = replace(entries[place], by=entries[place].by | one.by)
    return entries


def standing(told: Sequence[Sighting]) -> list[Sighting]:
    entries = entered(told)
    left_out = coarse(entries)
    return [entry for entry in entries if entry.number not in left_out]


@given(worlds())
def test_where_one_replica_saw_all_of_it_what_happened_stands_and_nothing_else(
    world: World,
) -> None:
    stands = [(one.old, one.new) for one in standing(world.told)]

    assert sorted(stands, key=repr) == sorted(world.happened, key=repr)


@given(worlds(values=st.sampled_from("ABC")))
def test_whatever_was_told_is_led_to_by_what_stands(world: World) -> None:
    stands = {(one.old, one.new) for one in standing(world.told)}

    for one in world.told:
        reached = {one.old}
        while more := {new for old, new in stands if old in reached} - reached:
            reached |= more
        assert one.new in reached
