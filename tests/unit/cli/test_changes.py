"""What `retune set` writes, and what it refuses before any store is asked."""

from __future__ import annotations

import json

import pytest

from retunable.cli.changes import document_change, field_change
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.target import Target
from retunable.config.items import Item, StoreKind, Unreadable
from retunable.release.documents import json_text, stored_document, tombstone_text

TARGET = Target(
    agent="config-aware-agent",
    environment="default",
    prefix="",
    document_key="config_aware_agent",
)


def refusal(key: str, text: str, *, prefix: str = "", store: StoreKind = "redis") -> Stop:
    with pytest.raises(Stop) as caught:
        field_change(key, text, prefix=prefix, store=store)
    assert caught.value.code is ExitCode.USAGE
    return caught.value


@pytest.mark.parametrize("key", ["role", "agent_role", "Agent-Role", "support/agent_role"])
def test_a_field_goes_by_either_name_with_or_without_the_prefix(key: str) -> None:
    change = field_change(key, "Expert", prefix="support/", store="redis")
    assert (change.field.key, change.text, change.value) == ("agent_role", "Expert", "Expert")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("max_iterations", "20", 20),
        ("llm_temperature", "1", 1.0),
        ("agent_instructions", "be brief", ["be brief"]),
        ("agent_instructions", '["a", "b"]', ["a", "b"]),
        ("tools", "[]", []),
        ("guardrails", '{"length": {}}', {"length": {}}),
    ],
)
def test_the_value_is_compared_as_the_agent_reports_it(key: str, text: str, value: object) -> None:
    assert field_change(key, text, prefix="", store="redis").value == value


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("agent_rle", "x", "did you mean 'agent_role'"),
        ("max_iterations", "many", "must be an integer"),
        ("max_iterations", "0", "greater than or equal to 1"),
        ("tools", "search", "JSON list"),
        ("agent_role", "", "retune unset agent_role"),
        ("agent_role", "a\udcff", "lone surrogate"),
    ],
)
def test_an_invalid_value_is_refused_with_the_mend(key: str, text: str, words: str) -> None:
    assert words in str(refusal(key, text))


@pytest.mark.parametrize("key", ["llm_api_key", "openai-api-key", "support/llm_api_key"])
def test_a_secret_is_refused_by_name_and_length_and_not_shown(key: str) -> None:
    said = str(refusal(key, "sk-hunter2"))
    assert "10 characters" in said
    assert "hunter2" not in said


def test_two_bars_in_a_plain_text_are_refused_on_redis_with_the_way_to_write_them() -> None:
    assert "retune set --file" in str(refusal("agent_role", "a||b"))


@pytest.mark.parametrize("store", ["postgresql", "sqlite"])
def test_other_stores_hold_two_bars(store: StoreKind) -> None:
    assert field_change("role", "a||b", prefix="", store=store).text == "a||b"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("instructions", "a||b", ["a||b"]),
        ("instructions", '["a||b"]', ["a||b"]),
        ("guardrails", '{"words": {"list": ["||"]}}', {"words": {"list": ["||"]}}),
    ],
)
def test_two_bars_in_a_json_field_are_escaped_for_redis(key: str, text: str, value: object) -> None:
    change = field_change(key, text, prefix="", store="redis")
    assert "|" not in change.text
    assert json.loads(change.text) == value == change.value


def test_a_document_sets_its_fields_and_holds_no_bar() -> None:
    change = document_change('{"Agent-Role": "a||b", "max_iterations": 5}', TARGET)
    assert change.plain
    assert change.values == {"role": "a||b", "max_iterations": 5}
    assert "|" not in change.text
    assert json.loads(change.text)["Agent-Role"] == "a||b"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[]", "JSON object"),
        ("{}", "sets no field"),
        ('{"rle": "x"}', "did you mean"),
        ('{"role": 5}', "role"),
        ('{"llm_api_key": "sk-1"}', "secret"),
        ('{"role": "a", "agent_role": "b"}', "twice"),
        ('{"max_iterations": NaN}', "NaN"),
        ('{"retunable": 1}', "lacks"),
    ],
)
def test_an_invalid_document_is_refused(text: str, words: str) -> None:
    with pytest.raises(Stop, match=words):
        document_change(text, TARGET)


def test_a_document_over_the_limit_is_refused() -> None:
    text = json.dumps({"role": "é" * 100_000, "goal": "x" * 200_000})
    assert document_change(text, TARGET).plain
    with pytest.raises(Stop, match="at most"):
        document_change(json.dumps({"system_prompt": "|" * 200_000}), TARGET)


@pytest.mark.parametrize(
    ("text", "kind", "generation"),
    [
        (tombstone_text("a", environment="default", generation=7), "tombstone", 7),
        ('{"retunable": 1, "generation": 3}', "envelope", 3),
        ('{"retunable": 1, "generation": "x"}', "envelope", 0),
        ('{"role": "x"}', "plain", 0),
        ("[]", "unreadable", 0),
        ("no json", "unreadable", 0),
    ],
)
def test_what_stands_there_is_told_apart(text: str, kind: str, generation: int) -> None:
    stored = stored_document(Item(text))
    assert (stored.kind, stored.generation) == (kind, generation)


def test_nothing_and_what_cannot_be_read_are_told_apart() -> None:
    assert stored_document(None).kind == "none"
    assert stored_document(Unreadable("is not valid UTF-8")).kind == "unreadable"


def test_json_is_written_as_people_write_it_but_for_the_bar() -> None:
    assert json_text({"role": "Zoë | 7"}) == '{"role": "Zoë \\u007c 7"}'
