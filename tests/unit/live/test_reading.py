"""What is asked for, and when an answer is believed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from retunable.config.items import Item, StoreKind, Unreadable
from retunable.live.reading import (
    Agreed,
    Groups,
    Known,
    Outcome,
    Plan,
    Unsettled,
    absent_turn,
    read_all,
    read_on_timer,
)
from retunable.live.store import FailureKind, StoreFailure

KEYS = ("doc", "a", "b", "c")


def items(**values: str) -> dict[str, Item]:
    return {key: Item(value) for key, value in values.items()}


def known(**values: str) -> Known:
    return Known(items(**values))


def follow(plan: Plan, *states: Mapping[str, str]) -> tuple[Outcome, list[Groups]]:
    """Answer each ask from the next state; the last state stays."""
    asked: list[Groups] = []
    left = list(states)
    try:
        groups = next(plan)
        while True:
            asked.append(groups)
            state = left.pop(0) if len(left) > 1 else left[0]
            groups = plan.send([_answer(group, state) for group in groups])
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome, asked


def _answer(group: tuple[str, ...], state: Mapping[str, str]) -> Mapping[str, Item] | StoreFailure:
    if any(state.get(key) == "POISON" for key in group):
        return StoreFailure(FailureKind.POISONED, "invalid UTF-8")
    return {key: Item(state[key]) for key in group if key in state}


def flat(groups: Groups) -> list[str]:
    return [key for group in groups for key in group]


@pytest.mark.parametrize("store", ["postgresql", "sqlite"])
def test_one_statement_is_believed_at_once(store: StoreKind) -> None:
    outcome, asked = follow(read_all(KEYS, store=store, known=None), {"a": "1", "b": "2"})
    assert outcome == Agreed(known(a="1", b="2"))
    assert asked == [(KEYS,)]


def test_the_first_reading_of_redis_is_believed_when_a_second_agrees() -> None:
    outcome, asked = follow(read_all(KEYS, store="redis", known=None), {"a": "1"})
    assert outcome == Agreed(known(a="1"))
    assert [sorted(flat(groups)) for groups in asked] == [sorted(KEYS)] * 2


def test_a_write_between_two_readings_is_read_a_third_time() -> None:
    plan = read_all(KEYS, store="redis", known=None)
    outcome, asked = follow(plan, {"a": "old", "b": "new"}, {"a": "new", "b": "new"})
    assert outcome == Agreed(known(a="new", b="new"))
    assert len(asked) == 3


def test_readings_that_never_agree_leave_the_old_snapshot() -> None:
    states = [{"a": str(turn)} for turn in range(10)]
    plan = read_all(KEYS, store="redis", known=None, agreeing_reads=3)
    outcome, asked = follow(plan, *states)
    assert outcome == Unsettled()
    assert len(asked) == 4


def test_a_changed_document_is_believed_after_one_read_of_it_and_the_present_keys() -> None:
    plan = read_all(KEYS, store="redis", known=known(doc="1", b="x"), hinted={"doc"})
    outcome, asked = follow(plan, {"doc": "2", "b": "x"})
    assert outcome == Agreed(known(doc="2", b="x"), verify=True)
    assert asked == [(("doc", "b"),)]


def test_the_document_is_read_before_the_keys_that_prove_its_moment() -> None:
    plan = read_all(KEYS, store="redis", known=known(a="1", b="x"), hinted={"b"})
    _, asked = follow(plan, {"a": "1", "b": "x"})
    assert asked == [(("doc", "a", "b"),)]


def test_a_document_that_changed_with_a_field_key_needs_an_agreeing_read() -> None:
    plan = read_all(KEYS, store="redis", known=known(doc="1", b="x"), hinted={"doc"})
    outcome, asked = follow(plan, {"doc": "2", "b": "y"})
    assert outcome == Agreed(known(doc="2", b="y"))
    assert sorted(flat(asked[1])) == sorted(KEYS)


def test_two_field_keys_written_together_are_never_seen_apart() -> None:
    plan = read_all(KEYS, store="redis", known=known(a="1", b="1"), hinted={"a"})
    torn, whole = {"a": "1", "b": "2"}, {"a": "2", "b": "2"}
    outcome, _ = follow(plan, torn, whole)
    assert outcome == Agreed(known(a="2", b="2"))


def test_a_key_created_together_with_a_hinted_one_is_seen_with_it() -> None:
    plan = read_all(KEYS, store="redis", known=known(), hinted={"a"})
    outcome, asked = follow(plan, {"a": "2", "c": "2"})
    assert outcome == Agreed(known(a="2", c="2"))
    assert flat(asked[0]) == ["doc", "a"]


def test_a_hint_without_a_change_costs_one_read() -> None:
    plan = read_all(KEYS, store="redis", known=known(a="1"), hinted={"a"})
    outcome, asked = follow(plan, {"a": "1"})
    assert outcome == Agreed(known(a="1"))
    assert len(asked) == 1


def test_a_store_of_unknown_kind_is_read_twice_even_for_a_document() -> None:
    plan = read_all(KEYS, store="other", known=known(doc="1"), hinted={"doc"})
    outcome, asked = follow(plan, {"doc": "2"})
    assert outcome == Agreed(known(doc="2"))
    assert len(asked) == 2


def test_a_value_of_no_length_counts_as_absent() -> None:
    outcome, _ = follow(read_all(KEYS, store="postgresql", known=None), {"a": "", "b": "1"})
    assert outcome == Agreed(known(b="1"))


@pytest.mark.parametrize("store", ["redis", "postgresql"])
def test_a_poisoned_value_is_found_and_the_rest_is_read_in_one_piece(store: StoreKind) -> None:
    state = {"a": "POISON", "b": "2"}
    outcome, asked = follow(read_all(KEYS, store=store, known=None), state)
    assert isinstance(outcome, Agreed)
    assert outcome.known.items == {"a": Unreadable("invalid UTF-8"), "b": Item("2")}
    assert not outcome.known.whole
    assert ("a",) in asked[-1]
    assert any("b" in group and "a" not in group for group in asked[-1])


def test_a_key_that_was_unreadable_is_asked_for_by_itself() -> None:
    before = Known({"a": Unreadable("invalid UTF-8"), "b": Item("2")}, whole=False)
    plan = read_on_timer(KEYS, store="redis", known=before, absent=())
    outcome, asked = follow(plan, {"a": "POISON", "b": "2"})
    assert outcome == Agreed(before)
    assert asked == [(("b",), ("a",))]


def test_a_cured_key_makes_the_reading_whole_again() -> None:
    before = Known({"a": Unreadable("invalid UTF-8"), "b": Item("2")}, whole=False)
    plan = read_on_timer(KEYS, store="redis", known=before, absent=())
    outcome, _ = follow(plan, {"a": "1", "b": "2"})
    assert outcome == Agreed(known(a="1", b="2"))


def test_values_too_large_together_are_read_one_by_one() -> None:
    plan = read_all(KEYS, store="postgresql", known=None)
    too_large = StoreFailure(FailureKind.POISONED, "over 4 MiB")
    next(plan)
    singles = plan.send([too_large])
    assert singles == (("doc",), ("a",), ("b",), ("c",))
    with pytest.raises(StopIteration) as end:
        plan.send([{}, items(a="1"), items(b="2"), {}])
    assert end.value.value == Agreed(Known(items(a="1", b="2"), whole=False))


def test_the_timer_reads_present_keys_and_the_absent_ones_whose_turn_it_is() -> None:
    plan = read_on_timer(KEYS, store="redis", known=known(b="1"), absent={"c"})
    outcome, asked = follow(plan, {"b": "1"})
    assert outcome == Agreed(known(b="1"))
    assert asked == [(("b", "c"),)]


def test_what_the_timer_finds_different_is_read_with_all_keys_before_it_counts() -> None:
    plan = read_on_timer(KEYS, store="redis", known=known(b="1"), absent=())
    outcome, asked = follow(plan, {"b": "2", "c": "2"})
    assert outcome == Agreed(known(b="2", c="2"))
    assert sorted(flat(asked[-1])) == sorted(KEYS)


def test_the_timer_on_an_empty_store_asks_for_something() -> None:
    _, asked = follow(read_on_timer(KEYS, store="redis", known=known(), absent=()), {})
    assert asked == [(("doc",),)]


@pytest.mark.parametrize("slices", [1, 3, 9])
def test_each_absent_key_has_its_turn_once_in_a_round(slices: int) -> None:
    turns = [
        key
        for turn in range(slices)
        for key in absent_turn(KEYS, known=known(a="1"), turn=turn, slices=slices)
    ]
    assert sorted(turns) == ["b", "c", "doc"]
