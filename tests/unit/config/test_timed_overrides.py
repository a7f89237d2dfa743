"""Overrides inside an envelope: they hold until their moment, and whatever is left stays valid."""

from __future__ import annotations

from typing import Any

import pytest

from retunable.config.build import build
from tests.unit.config.signers import CAREFUL, OURS
from tests.unit.config.worlds import AGENT, DOCUMENT, built, codes, document, envelope, variant

NINE, TEN = "2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z"
AT_NINE, AT_TEN = 1_795_251_600.0, 1_795_255_200.0


def overriding(**overrides: tuple[Any, str]) -> dict[str, Any]:
    """A release with overrides of its own, each a value and when it ends."""
    parts = {
        name: {"value": value, "expires_at": ends} for name, (value, ends) in overrides.items()
    }
    return envelope(3, stable=variant(2, role="Released", max_iterations=10), overrides=parts)


def test_an_override_holds_until_its_moment_and_not_at_it() -> None:
    offered = document(overriding(role=("Emergency", NINE)))

    held = build(AGENT, offered, now=AT_NINE - 0.001).snapshot
    over = build(AGENT, offered, now=AT_NINE).snapshot

    assert (held.config.role, held.overrides, held.expires_at) == (
        "Emergency",
        {"role": "Emergency"},
        AT_NINE,
    )
    assert (over.config.role, over.overrides, over.expires_at) == ("Released", {}, None)


def test_each_override_ends_by_itself() -> None:
    offered = document(overriding(role=("Emergency", NINE), max_iterations=(3, TEN)))
    between = build(AGENT, offered, now=AT_NINE).snapshot

    assert (between.config.role, between.config.max_iterations) == ("Released", 3)
    assert between.expires_at == AT_TEN


def test_its_origin_is_the_document_and_its_end() -> None:
    source = built(document(overriding(role=("Emergency", NINE)))).snapshot.provenance["role"]

    assert (source.layer, source.key, source.expires_at) == ("override", DOCUMENT, AT_NINE)


def test_a_field_key_lies_above_it() -> None:
    offered = document(overriding(role=("Emergency", NINE)), agent_role="Key")

    assert built(offered).snapshot.config.role == "Key"


def test_a_signed_override_changes_an_agent_that_takes_only_releases() -> None:
    offered = document(OURS.signed(overriding(role=("Emergency", NINE))))

    assert build(CAREFUL, offered).snapshot.config.role == "Emergency"


def test_an_override_whose_end_was_moved_is_refused() -> None:
    signed = OURS.signed(overriding(role=("Emergency", NINE)))
    moved = signed | {"overrides": {"role": {"value": "Emergency", "expires_at": TEN}}}

    assert codes_of(moved) == {DOCUMENT: "signature"}


def codes_of(offered: dict[str, Any]) -> dict[str, str]:
    return codes(build(CAREFUL, document(offered)))


def test_a_state_that_an_end_would_lead_to_is_checked_before() -> None:
    # The provider's override ends first and would leave its model with the other provider.
    offered = overriding(provider=("openai", NINE), model=("gpt-small", TEN))
    result = built(document(offered))

    assert codes(result) == {DOCUMENT: "constraint"}


def test_overrides_of_one_moment_end_together() -> None:
    offered = overriding(provider=("openai", NINE), model=("gpt-small", NINE))
    result = built(document(offered))

    assert codes(result) == {}
    assert result.snapshot.config.model == "gpt-small"


@pytest.mark.parametrize(
    ("overrides", "code", "says"),
    [
        ([], "shape", "an object of fields"),
        ({"rolle": {"value": "x", "expires_at": NINE}}, "unknown_field", "'role'"),
        ({"role": "x"}, "shape", "value and expires_at"),
        ({"role": {"value": "x"}}, "shape", "value and expires_at"),
        ({"role": {"value": "x", "expires_at": "soon"}}, "shape", "must be a time"),
        ({"role": {"value": "x", "expires_at": "2026-11-21T09:00:00"}}, "shape", "must be a time"),
        ({"role": {"value": "x", "expires_at": 5}}, "shape", "must be a time"),
        ({"max_iterations": {"value": 0, "expires_at": NINE}}, "invalid_value", "or equal to 1"),
        ({"max_iterations": {"value": 501, "expires_at": NINE}}, "constraint", "500"),
    ],
)
def test_a_faulty_override_refuses_the_envelope(overrides: Any, code: str, says: str) -> None:
    result = built(document(envelope(overrides=overrides)))

    assert codes(result) == {DOCUMENT: code}
    assert says in result.snapshot.rejected[0].reason
