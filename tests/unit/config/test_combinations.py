"""Rules across fields: provider with model, tools with tool_choice."""

from __future__ import annotations

from retunable.config.build import build
from tests.unit.config.worlds import (
    AGENT,
    DEFAULTS,
    built,
    codes,
    document,
    envelope,
    items,
    variant,
)

OPENAI = items(llm_provider="openai", llm_model="gpt-small")


def test_two_keys_that_are_valid_together_apply_together() -> None:
    config = built(OPENAI).snapshot.config

    assert (config.provider, config.model) == ("openai", "gpt-small")


def test_the_first_of_two_sets_waits_for_the_second() -> None:
    result = built(items(llm_provider="openai"))

    assert result.snapshot.config == DEFAULTS
    assert codes(result) == {"llm_provider": "combination"}


def test_fields_of_a_broken_rule_stay_at_their_last_valid_combination() -> None:
    result = built(items(llm_provider="offline", llm_model="gpt-small"), after=OPENAI)
    config = result.snapshot.config

    assert (config.provider, config.model) == ("openai", "gpt-small")
    assert codes(result) == {"llm_provider": "combination", "llm_model": "combination"}
    assert all(rejection.kept for rejection in result.snapshot.rejected)


def test_a_removed_half_of_a_combination_does_not_tear_it() -> None:
    result = built(items(llm_model="gpt-small", agent_role="Expert"), after=OPENAI)
    config = result.snapshot.config

    assert (config.provider, config.model, config.role) == ("openai", "gpt-small", "Expert")
    assert codes(result) == {"llm_model": "combination"}


def test_keys_outside_the_broken_rule_apply() -> None:
    snapshot = built(items(llm_provider="openai", agent_role="Expert", max_iterations="3")).snapshot

    assert (snapshot.config.role, snapshot.config.max_iterations) == ("Expert", 3)


def test_the_last_combination_is_remembered_through_the_broken_time() -> None:
    broken = items(llm_provider="offline", llm_model="gpt-large")
    first = built(broken, after=OPENAI)

    again = build(AGENT, broken, last_good=first.last_good)

    assert again == first


def test_an_override_cannot_block_a_document_that_is_valid_by_itself() -> None:
    before = document({"provider": "openai", "model": "gpt-small"}, llm_model="gpt-large")
    back = document(envelope(stable=variant(4)), llm_model="gpt-large")
    result = built(back, after=before)

    assert result.snapshot.version == 4
    assert result.snapshot.config.model == "offline"
    assert codes(result) == {"llm_model": "combination"}
    assert not result.snapshot.rejected[0].kept


def test_a_tool_choice_outside_the_allowed_tools_is_named() -> None:
    result = built(items(tools='["search"]', tool_choice="calculate", agent_role="Expert"))

    assert codes(result) == {"tools": "combination", "tool_choice": "combination"}
    assert result.snapshot.config.role == "Expert"
    assert result.snapshot.config.tools is None


def test_required_needs_a_tool() -> None:
    result = built(document({"tools": [], "tool_choice": "required"}))

    assert "needs at least one tool" in result.snapshot.rejected[0].reason
