"""The log lines that people and programs rely on."""

from __future__ import annotations

from retunable.config.build import build
from retunable.config.items import Item
from retunable.config.snapshot import Snapshot
from retunable.live.applied import applied_lines, cut
from tests.unit.live.scenes import AGENT, DOCUMENT, declaration

START = f"Agent {AGENT} applying config update:"


def snapshot(*, prefix: str = "", **values: str) -> Snapshot:
    items = {prefix + key: Item(value) for key, value in values.items()}
    return build(declaration(prefix=prefix), items, store="redis").snapshot


def lines(old: Snapshot | None, new: Snapshot, *, prefix: str = "") -> list[str]:
    return applied_lines(old, new, field_keys=declaration(prefix=prefix).field_keys)


def test_the_line_is_the_contract() -> None:
    old, new = snapshot(), snapshot(agent_role="Expert Data Scientist")
    expected = 'Agent config-aware-agent applying config update: agent_role="Expert Data Scientist"'
    assert lines(old, new) == [expected]


def test_values_are_json() -> None:
    new = snapshot(max_iterations="20", agent_instructions='["a", "b"]')
    assert lines(snapshot(), new) == [
        f'{START} agent_instructions=["a", "b"]',
        f"{START} max_iterations=20",
    ]


def test_a_document_is_told_field_by_field() -> None:
    new = snapshot(**{DOCUMENT: '{"role": "R", "goal": "G"}'})
    assert lines(snapshot(), new) == [f'{START} agent_role="R"', f'{START} agent_goal="G"']


def test_the_key_has_its_prefix() -> None:
    new = snapshot(prefix="support/", agent_role="R")
    assert lines(snapshot(prefix="support/"), new, prefix="support/") == [
        f'{START} support/agent_role="R"'
    ]


def test_defaults_are_no_update_and_stored_values_are_at_the_first_snapshot() -> None:
    assert lines(None, snapshot()) == []
    assert lines(None, snapshot(agent_role="R")) == [f'{START} agent_role="R"']


def test_a_key_that_went_is_told_with_what_shows_now() -> None:
    old, new = snapshot(agent_role="R", agent_goal="G"), snapshot(agent_goal="G")
    assert lines(old, new) == [f'{START} agent_role="Default"']


def test_an_unchanged_field_is_not_told() -> None:
    assert lines(snapshot(agent_role="R"), snapshot(agent_role="R")) == []


def test_long_values_are_cut() -> None:
    assert len(cut("x" * 10_000)) <= 202
    assert cut("ä" * 10) == f'"{"ä" * 10}"'
