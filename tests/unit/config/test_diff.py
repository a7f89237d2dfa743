"""What differs inside a field: prompts by words, names as sets, objects by members."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retunable.config.agent_config import AgentConfig, config_from
from retunable.config.diff import (
    Change,
    MemberDetail,
    Passage,
    SetDetail,
    TextDetail,
    ValueDetail,
    detail,
    diff,
    passages,
)

DEFAULTS = AgentConfig(model="m", tools=())


def changed(old: dict[str, Any], new: dict[str, Any]) -> Change:
    """The one change between two configs."""
    (change,) = diff(config_from({"model": "m", **old}), config_from({"model": "m", **new}))
    return change


def test_a_prompt_is_compared_word_by_word() -> None:
    found = passages(
        "You are a kind agent.\nBe brief.\n", "You are a very kind agent.\nBe brief.\n"
    )

    assert found == (
        Passage("same", "You are a "),
        Passage("new", "very "),
        Passage("same", "kind agent.\nBe brief.\n"),
    )


def test_a_replaced_word_is_gone_and_new() -> None:
    assert passages("Be kind.", "Be brief.") == (
        Passage("same", "Be "),
        Passage("gone", "kind"),
        Passage("new", "brief"),
        Passage("same", "."),
    )


@given(st.text(alphabet="ab \n.é"), st.text(alphabet="ab \n.é"))
def test_the_passages_give_both_texts_back(old: str, new: str) -> None:
    found = passages(old, new)

    assert "".join(p.text for p in found if p.kind != "new") == old
    assert "".join(p.text for p in found if p.kind != "gone") == new


@given(st.text(alphabet="ab \n.é"), st.text(alphabet="ab \n.é"))
def test_no_two_neighbours_are_of_one_kind(old: str, new: str) -> None:
    kinds = [passage.kind for passage in passages(old, new)]

    assert all(one != other for one, other in pairwise(kinds))


def test_texts_that_would_take_long_are_gone_and_new_as_a_whole() -> None:
    old, new = "a b " * 30_000, "b a c " * 20_000
    began = time.process_time()
    found = passages(old, new)

    assert time.process_time() - began < 5
    assert "".join(p.text for p in found if p.kind != "new") == old


def test_one_word_in_a_long_prompt_is_found() -> None:
    words = "word " * 50_000

    assert passages(words + "old " + words, words + "new " + words) == (
        Passage("same", words),
        Passage("gone", "old "),
        Passage("new", "new "),
        Passage("same", words),
    )


def test_names_are_compared_as_a_set() -> None:
    change = changed({"tools": ["search", "weather"]}, {"tools": ["weather", "mail"]})

    assert detail(change) == SetDetail(gone=("search",), new=("mail",), reordered=False)


def test_names_in_another_order_are_said_to_be() -> None:
    change = changed({"tools": ["search", "weather"]}, {"tools": ["weather", "search"]})

    assert detail(change) == SetDetail(gone=(), new=(), reordered=True)


def test_instructions_are_compared_as_one_text() -> None:
    change = changed({"instructions": ["Be kind.", "Ask."]}, {"instructions": ["Be kind."]})

    assert detail(change) == TextDetail(
        (Passage("same", "Be kind"), Passage("gone", ".\nAsk"), Passage("same", "."))
    )


def test_objects_are_compared_by_members() -> None:
    change = changed(
        {"guardrails": {"a": {}, "b": {"max": 1}}}, {"guardrails": {"b": {"max": 2}, "c": {}}}
    )

    assert detail(change) == MemberDetail(gone=("a",), new=("c",), changed=("b",))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"model": "a"}, {"model": "b"}),
        ({"temperature": 0.1}, {"temperature": 0.2}),
        ({"max_iterations": 3}, {"max_iterations": 4}),
        ({"tools": None}, {"tools": []}),
    ],
)
def test_numbers_and_names_have_nothing_inside(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert detail(changed(old, new)) == ValueDetail()


def test_a_prompt_that_was_not_set_is_new_as_a_whole() -> None:
    change = changed({}, {"system_prompt": "Be brief."})

    assert detail(change) == TextDetail((Passage("new", "Be brief."),))
