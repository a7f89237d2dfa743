"""Field keys: what their text means, and what happens when it means nothing."""

from __future__ import annotations

from typing import Any

import pytest

from retunable.config.declaration import declare
from retunable.config.fields import FIELDS
from retunable.config.items import Item, Items, Unreadable
from tests.unit.config.worlds import AGENT, DEFAULTS, built, codes, items

VALID = [
    ("agent_role", "Expert", "role", "Expert"),
    ("agent_role", " spaces stay ", "role", " spaces stay "),
    ("agent_goal", "{{7*7}} {name} {% x %}", "goal", "{{7*7}} {name} {% x %}"),
    ("agent_instructions", "one plain string", "instructions", ("one plain string",)),
    ("agent_instructions", '["a", "b"]', "instructions", ("a", "b")),
    ("agent_instructions", "[]", "instructions", ()),
    ("agent_style_guidelines", '["short"]', "style_guidelines", ("short",)),
    ("agent_system_prompt", "line\r\nline", "system_prompt", "line\r\nline"),
    ("llm_temperature", "0.7", "temperature", 0.7),
    ("llm_temperature", "2", "temperature", 2.0),
    ("llm_temperature", " 1e-1 ", "temperature", 0.1),
    ("llm_max_tokens", "4000", "max_tokens", 4000),
    ("max_iterations", "20", "max_iterations", 20),
    ("max_iterations", " 1\n", "max_iterations", 1),
    ("tools", '["search"]', "tools", ("search",)),
    ("tools", "[]", "tools", ()),
    ("tool_choice", "auto", "tool_choice", "auto"),
    ("tool_choice", "search", "tool_choice", "search"),
    ("guardrails", '{"length": {"max": 10}}', "guardrails", {"length": {"max": 10}}),
    ("guardrail_threshold", "0", "guardrail_threshold", 0.0),
]

INVALID = [
    ("max_iterations", "abc", "invalid_value", "must be an integer, got 'abc'"),
    ("max_iterations", "0", "invalid_value", "greater than or equal to 1"),
    ("max_iterations", "1001", "invalid_value", "less than or equal to 1000"),
    ("max_iterations", "501", "constraint", "at most 500"),
    ("max_iterations", "20.0", "invalid_value", "must be an integer"),
    ("max_iterations", "９", "invalid_value", "must be an integer"),
    ("max_iterations", "1" * 5000, "invalid_value", "must be an integer"),
    ("llm_temperature", "NaN", "invalid_value", "must be a number"),
    ("llm_temperature", "inf", "invalid_value", "must be a number"),
    ("llm_temperature", "0\x1f", "invalid_value", "must be a number"),
    ("max_iterations", "5\x1f", "invalid_value", "must be an integer"),
    ("llm_temperature", "2.1", "invalid_value", "less than or equal to 2"),
    ("llm_max_tokens", "4001", "constraint", "at most 4000"),
    ("llm_provider", "nobody", "constraint", "'nobody' is not a provider"),
    ("agent_role", "a\0b", "invalid_value", "NUL"),
    ("agent_role", "x" * 262_145, "invalid_value", "at most 262144 bytes"),
    ("agent_instructions", '["a", 1]', "invalid_value", "item 2"),
    ("agent_instructions", '["a"', "invalid_value", "JSON list of strings"),
    ("tools", "search", "invalid_value", "JSON list of tool names"),
    ("tools", '["search", "search"]', "invalid_value", "each tool once"),
    ("tools", '["rm"]', "constraint", "'rm', which this program has not registered"),
    ("tool_choice", "rm", "combination", "not among the allowed tools"),
    ("guardrails", "[]", "invalid_value", "JSON object"),
    ("guardrails", '{"a": {"b": "%s"}}' % ("x" * 262_144), "invalid_value", "at most 262144"),
    ("guardrails", '{"length": 3}', "invalid_value", "map each check to a JSON object"),
    ("guardrails", '{"a": {}, "a": {}}', "invalid_value", "stands twice"),
    ("guardrails", '{"a": {"n": NaN}}', "invalid_value", "NaN is not JSON"),
    ("guardrails", '{"a": {"n": 1e999}}', "invalid_value", "finite"),
    ("guardrails", '{"a": {"n": 9007199254740992}}', "invalid_value", "not exact"),
    ("guardrails", '{"a":' * 2000 + "1" + "}" * 2000, "invalid_value", "nested deeper"),
    ("guardrail_threshold", "1.01", "invalid_value", "less than or equal to 1"),
    ("llm_api_key", "sk-12345", "secret", "(8 characters)"),
]


@pytest.mark.parametrize(("key", "text", "field", "value"), VALID)
def test_a_valid_field_key_sets_its_field(key: str, text: str, field: str, value: Any) -> None:
    snapshot = built(items(**{key: text})).snapshot

    assert getattr(snapshot.config, field) == value
    assert snapshot.rejected == ()
    assert snapshot.provenance[field].key == key


@pytest.mark.parametrize(("key", "text", "code", "reason"), INVALID)
def test_an_invalid_field_key_is_rejected_with_its_reason(
    key: str, text: str, code: str, reason: str
) -> None:
    snapshot = built(items(**{key: text})).snapshot

    assert snapshot.config == DEFAULTS
    assert [(one.key, one.code) for one in snapshot.rejected] == [(key, code)]
    assert reason in snapshot.rejected[0].reason


def test_a_secret_is_named_with_its_length_and_never_shown() -> None:
    snapshot = built(items(llm_api_key="sk-very-secret")).snapshot

    assert "sk-very-secret" not in repr(snapshot)
    assert "14 characters" in snapshot.rejected[0].reason


def test_an_invalid_key_keeps_its_last_good_value() -> None:
    snapshot = built(items(max_iterations="zero"), after=items(max_iterations="20")).snapshot

    assert snapshot.config.max_iterations == 20
    assert snapshot.rejected[0].kept
    assert snapshot.provenance["max_iterations"].kept


def test_an_invalid_key_without_a_last_good_value_shows_the_layer_below() -> None:
    snapshot = built(items(max_iterations="zero")).snapshot

    assert snapshot.config.max_iterations == DEFAULTS.max_iterations
    assert not snapshot.rejected[0].kept


def test_an_invalid_key_holds_no_other_key_back() -> None:
    snapshot = built(items(max_iterations="zero", agent_role="Expert")).snapshot

    assert snapshot.config.role == "Expert"


def test_a_missing_key_uncovers_the_layer_below_while_others_remain() -> None:
    before = items(agent_role="Expert", agent_goal="Win")
    snapshot = built(items(agent_goal="Win"), after=before).snapshot

    assert snapshot.config.role == DEFAULTS.role
    assert snapshot.lost == ()


def test_a_zero_length_value_counts_as_absent() -> None:
    before = items(agent_role="Expert", agent_goal="Win")
    snapshot = built(items(agent_role="", agent_goal="Win"), after=before).snapshot

    assert snapshot.config.role == DEFAULTS.role
    assert snapshot.rejected == ()


def test_when_no_item_is_left_everything_stays_and_is_called_lost() -> None:
    snapshot = built({}, after=items(agent_role="Expert", max_iterations="20")).snapshot

    assert (snapshot.config.role, snapshot.config.max_iterations) == ("Expert", 20)
    assert set(snapshot.lost) == {"agent_role", "max_iterations"}


def test_a_store_that_was_always_empty_gives_the_code_defaults() -> None:
    snapshot = built({}).snapshot

    assert snapshot.config == DEFAULTS
    assert snapshot.lost == ()


def test_an_unreadable_key_is_rejected_and_keeps_its_last_good_value() -> None:
    poisoned: Items = {"agent_role": Unreadable("over 4 MiB"), "agent_goal": Item("Win")}
    result = built(poisoned, after=items(agent_role="Expert"), whole=False)

    assert result.snapshot.config.role == "Expert"
    assert codes(result) == {"agent_role": "unreadable"}
    assert not result.snapshot.whole


@pytest.mark.parametrize("version", ["x", "1.0", "v1", " 1", "-1"])
def test_on_redis_a_value_cut_at_two_bars_is_rejected(version: str) -> None:
    cut = {"agent_role": Item("before", version)}

    assert codes(built(cut, store="redis")) == {"agent_role": "cut"}
    assert built(cut, store="postgresql").snapshot.config.role == "before"


def test_a_prefix_stands_before_every_key() -> None:
    declared = declare("support", defaults=DEFAULTS, prefix="support/")

    assert declared.keys[0] == "support/support"
    assert declared.field_keys["role"] == "support/agent_role"


def test_the_store_keys_are_pinned() -> None:
    assert {field.name: field.key for field in FIELDS} == {
        "role": "agent_role",
        "goal": "agent_goal",
        "instructions": "agent_instructions",
        "style_guidelines": "agent_style_guidelines",
        "system_prompt": "agent_system_prompt",
        "model": "llm_model",
        "provider": "llm_provider",
        "temperature": "llm_temperature",
        "max_tokens": "llm_max_tokens",
        "max_iterations": "max_iterations",
        "tools": "tools",
        "tool_choice": "tool_choice",
        "guardrails": "guardrails",
        "guardrail_threshold": "guardrail_threshold",
    }
    assert AGENT.document == "config_aware_agent"
