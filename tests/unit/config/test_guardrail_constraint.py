"""Guardrails that the program cannot check are rejected with the reason; the last good stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from retunable.config.build import build
from retunable.config.declaration import declare
from retunable.config.items import Item
from retunable.errors import ConfigurationError
from tests.unit.config.worlds import CONSTRAINTS, DEFAULTS


def only_length(guardrails: Mapping[str, Any]) -> list[str]:
    return [
        f"names the check {name!r}, which is not here" for name in guardrails if name != "length"
    ]


KNOWING = replace(CONSTRAINTS, guardrail_reasons=only_length)
AGENT = declare("config-aware-agent", defaults=DEFAULTS, constraints=KNOWING)
GOOD = {"guardrails": Item('{"length": {"max_characters": 9}}')}
BAD = {"guardrails": Item('{"lenght": {}}'), "agent_role": Item("Expert")}


def test_guardrails_that_the_program_knows_apply() -> None:
    snapshot = build(AGENT, GOOD).snapshot
    assert snapshot.config.guardrails == {"length": {"max_characters": 9}}
    assert snapshot.rejected == ()


def test_others_are_rejected_with_the_reason_and_hold_up_no_other_field() -> None:
    snapshot = build(AGENT, BAD).snapshot
    (rejection,) = snapshot.rejected
    assert (rejection.key, rejection.code) == ("guardrails", "constraint")
    assert "names the check 'lenght', which is not here" in rejection.reason
    assert (snapshot.config.role, snapshot.config.guardrails) == ("Expert", {})


def test_the_last_good_guardrails_stay() -> None:
    before = build(AGENT, GOOD)
    after = build(AGENT, BAD, last_good=before.last_good)
    assert after.snapshot.config.guardrails == {"length": {"max_characters": 9}}


def test_a_document_with_such_guardrails_is_rejected_whole() -> None:
    items = {AGENT.document: Item('{"agent_role": "Expert", "guardrails": {"lenght": {}}}')}
    snapshot = build(AGENT, items).snapshot
    assert snapshot.config == DEFAULTS
    assert "lenght" in snapshot.rejected[0].reason


def test_code_defaults_with_such_guardrails_are_refused_at_construction() -> None:
    defaults = DEFAULTS.with_values({"guardrails": {"lenght": {}}})
    with pytest.raises(ConfigurationError, match="lenght"):
        declare("config-aware-agent", defaults=defaults, constraints=KNOWING)
