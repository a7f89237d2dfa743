"""The verdict on a write, from what the agent reported before and after."""

from __future__ import annotations

import json
from typing import Any

import pytest

from retunable.cli.expectation import (
    Applied,
    DocumentReset,
    DocumentSet,
    Expectation,
    FieldSet,
    FieldUnset,
    Rejected,
    Verdict,
    verdict,
)
from retunable.config.fields import FIELDS
from retunable.release.documents import tombstone_text
from tests.unit.cli.records import a_report

ROLE = FieldSet("role", "agent_role", "Expert", "Expert")
DOCUMENT = "config_aware_agent"
BEFORE = a_report()


def document_set(values: dict[str, Any], *, prefix: str = "") -> DocumentSet:
    keys = {field.name: prefix + field.key for field in FIELDS}
    return DocumentSet(prefix + DOCUMENT, values, json.dumps(values), keys)


def judged(
    *expectations: Expectation, now: dict[str, Any], before: dict[str, Any] | None = BEFORE
) -> Verdict | None:
    return verdict(expectations, before=before, now=now, seconds_since_write=0.5)


def test_a_field_is_applied_once_the_agent_runs_on_it() -> None:
    assert judged(ROLE, now=a_report(agent_role="Expert")) == Applied()


def test_nothing_is_known_while_the_agent_has_not_read() -> None:
    assert judged(ROLE, now=a_report()) is None


def test_another_writers_value_is_not_taken_for_ours() -> None:
    assert judged(ROLE, now=a_report(agent_role="Somebody else")) is None


def test_an_equal_code_default_is_not_taken_for_the_field_key() -> None:
    assistant = FieldSet("role", "agent_role", "Assistant")
    assert judged(assistant, now=a_report()) is None


def test_a_new_rejection_is_the_agents_answer() -> None:
    expected = FieldSet("max_iterations", "max_iterations", 5)
    said = judged(expected, now=a_report(max_iterations="many"))
    assert isinstance(said, Rejected)
    assert "must be an integer" in said.reason


def test_a_rejection_from_before_the_write_is_no_answer() -> None:
    expected = FieldSet("max_iterations", "max_iterations", 5)
    old = a_report(max_iterations="many")
    assert judged(expected, now=old, before=old) is None


def test_the_same_rejection_after_a_fresh_read_is_an_answer() -> None:
    expected = FieldSet("max_iterations", "max_iterations", 5)
    old = a_report(max_iterations="many")
    fresh = a_report(max_iterations="many", age_seconds=0.1)
    assert isinstance(judged(expected, now=fresh, before=old), Rejected)


def test_an_unset_field_shows_the_layer_below() -> None:
    gone = FieldUnset("role", "agent_role")
    assert judged(gone, now=a_report(agent_role="Expert")) is None
    assert judged(gone, now=a_report()) == Applied()


def test_a_document_is_applied_where_its_fields_come_from_it() -> None:
    expected = document_set({"role": "Expert", "max_iterations": 5})
    text = json.dumps({"role": "Expert", "max_iterations": 5})
    assert judged(expected, now=a_report(text)) == Applied()
    assert judged(expected, now=a_report('{"role": "Other"}')) is None


def test_a_document_names_the_fields_that_stay_covered() -> None:
    expected = document_set({"role": "Expert", "max_iterations": 5})
    text = json.dumps({"role": "Expert", "max_iterations": 5})
    now = a_report(text, agent_role="Above")
    assert judged(expected, now=now) == Applied(hidden=("role",))


def test_a_reset_is_applied_with_its_own_generation() -> None:
    def after(generation: int) -> dict[str, Any]:
        text = tombstone_text("config-aware-agent", environment="default", generation=generation)
        return a_report(text)

    assert judged(DocumentReset(DOCUMENT, 4), now=after(4)) == Applied()
    assert judged(DocumentReset(DOCUMENT, 4), now=after(3)) is None


def test_all_parts_of_a_write_must_have_arrived() -> None:
    gone = FieldUnset("goal", "agent_goal")
    assert judged(ROLE, gone, now=a_report(agent_role="Expert", agent_goal="x")) is None
    assert judged(ROLE, gone, now=a_report(agent_role="Expert")) == Applied()


@pytest.mark.parametrize("before", [BEFORE, None])
def test_an_agent_without_a_configuration_has_said_nothing(before: dict[str, Any] | None) -> None:
    now = {**a_report(), "config": None}
    assert judged(ROLE, now=now, before=before) is None
