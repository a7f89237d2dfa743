"""Properties: a snapshot is a function of the store, and nothing in a store can raise."""

from __future__ import annotations

import json
import os
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from retunable.config.agent_config import AgentConfig
from retunable.config.build import Built, build
from retunable.config.items import Item, Items, Unreadable
from retunable.config.last_good import LastGood
from tests.unit.config.worlds import AGENT, DEFAULTS, document, envelope, tombstone, variant

HOSTILE_EXAMPLES = int(os.environ.get("RETUNABLE_HOSTILE_EXAMPLES", "10000"))

VALID_TEXTS: dict[str, list[str]] = {
    "agent_role": ["Expert", "{{7*7}}"],
    "agent_instructions": ["plain", '["a"]', "[]"],
    "llm_temperature": ["0", "1.5"],
    "max_iterations": ["2", "30"],
    "tools": ['["search"]', '["search", "calculate"]'],
    "guardrails": ["{}", '{"length": {}}'],
}
BATCHES: list[dict[str, Any]] = [
    {"role": "Plain"},
    {"max_iterations": 9},
    {"goal": None, "tools": []},
]
VALID_DOCUMENTS = [json.dumps(value) for value in BATCHES]
# Two keys whose values are only valid together: what remains of them depends on history.
PAIRED = {"llm_provider": ["openai", "offline", "nobody"], "llm_model": ["gpt-small", "offline"]}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
field_names = st.sampled_from([*DEFAULTS.to_json(), *AGENT.field_keys.values(), "api_key", "x"])
batches = st.dictionaries(field_names, json_values, max_size=4).map(json.dumps)
envelopes = st.builds(
    lambda part, value, generation: json.dumps(envelope(generation) | {part: value}),
    st.sampled_from([*envelope(), "reset", "zz"]),
    json_values | st.sampled_from([variant(2), variant(2, max_iterations=501)]),
    st.integers(-1, 9),
)
hostile_texts = st.text() | st.sampled_from(
    ["NaN", "||", "a||1", "\0", "{{7*7}}", "[" * 2000, '{"a":' * 500, "9" * 5000, "null", '"x"']
)
hostile_items = st.one_of(
    st.builds(Item, hostile_texts | batches | envelopes, st.sampled_from(["", "1", "x", "1.0"])),
    st.builds(Unreadable, st.just("over 4 MiB")),
)
hostile_stores = st.dictionaries(st.sampled_from(AGENT.keys) | st.text(), hostile_items, max_size=6)


@st.composite
def valid_stores(draw: st.DrawFn, *, paired: bool = False) -> dict[str, Item]:
    texts = VALID_TEXTS | (PAIRED if paired else {})
    keys = draw(st.sets(st.sampled_from(sorted(texts))))
    chosen = {key: Item(draw(st.sampled_from(texts[key]))) for key in keys}
    if draw(st.booleans()):
        chosen[AGENT.document] = Item(draw(st.sampled_from(VALID_DOCUMENTS)))
    return chosen


def fold(views: list[Items], start: LastGood | None = None) -> LastGood:
    last_good = start or LastGood()
    for view in views:
        last_good = build(AGENT, view, last_good=last_good).last_good
    return last_good


def assert_sound(result: Built) -> None:
    assert AGENT.constraints.check(result.snapshot.config) == ()
    assert AgentConfig.model_validate(result.snapshot.config.model_dump()) == result.snapshot.config
    assert (
        LastGood.from_json(json.loads(json.dumps(result.last_good.to_json()))) == result.last_good
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
@settings(max_examples=HOSTILE_EXAMPLES, deadline=None)
@given(hostile_stores, st.sampled_from(["redis", "postgresql", "other"]))
def test_no_store_raises_and_what_runs_is_valid(store: dict[str, Any], kind: Any) -> None:
    assert_sound(build(AGENT, store, store=kind))


@settings(max_examples=1000, deadline=None)
@given(st.lists(hostile_stores | valid_stores(paired=True), max_size=4), hostile_stores)
def test_no_history_raises_and_what_runs_is_valid(views: list[Items], store: Items) -> None:
    assert_sound(build(AGENT, store, last_good=fold(views)))


@settings(max_examples=500, deadline=None)
@given(st.lists(valid_stores(), max_size=5), valid_stores())
def test_a_wholly_valid_store_gives_one_snapshot_whatever_came_before(
    views: list[Items], store: dict[str, Item]
) -> None:
    before = fold(views)
    result = build(AGENT, store, last_good=before)
    if result.snapshot.lost:  # an item that is gone is remembered, which is no valid store
        return

    assert result.snapshot == build(AGENT, store).snapshot


@settings(max_examples=500, deadline=None)
@given(hostile_stores | valid_stores(paired=True), st.lists(valid_stores(paired=True), max_size=3))
def test_reading_the_same_items_again_changes_nothing(store: Items, views: list[Items]) -> None:
    once = build(AGENT, store, last_good=fold(views))
    twice = build(AGENT, store, last_good=once.last_good)

    assert twice == once


@settings(max_examples=500, deadline=None)
@given(hostile_stores, valid_stores(paired=True), st.randoms())
def test_the_order_in_which_items_are_read_means_nothing(
    store: dict[str, Any], remembered: Items, random: Any
) -> None:
    last_good = fold([remembered])
    shuffled = list(store.items())
    random.shuffle(shuffled)

    assert build(AGENT, dict(shuffled), last_good=last_good) == build(
        AGENT, store, last_good=last_good
    )


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.randoms())
def test_the_highest_generation_stands_in_whatever_order_they_came(
    generations: list[int], random: Any
) -> None:
    views = [document(envelope(number, stable=variant(number))) for number in generations]
    random.shuffle(views)
    result = build(AGENT, views[-1], last_good=fold(list(views)))

    assert result.snapshot.version == max(generations)


@given(valid_stores())
def test_a_reset_gives_the_code_defaults_after_any_history(store: Items) -> None:
    result = build(AGENT, document(tombstone(99)), last_good=fold([store]))

    assert result.snapshot.config == DEFAULTS
    assert result.snapshot.lost == ()
