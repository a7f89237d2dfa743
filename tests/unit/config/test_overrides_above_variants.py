"""Overrides of an envelope beside its canary and its flags: above both variants, below field keys."""

from __future__ import annotations

from typing import Any

import pytest

from retunable.config.build import build
from retunable.config.resolve import Resolution, resolve
from retunable.config.snapshot import Snapshot
from tests.unit.config.signers import CAREFUL, OURS
from tests.unit.config.test_resolve import IN_CANARY, OUTSIDE, rollout
from tests.unit.config.test_timed_overrides import AT_NINE, AT_TEN, NINE, TEN
from tests.unit.config.worlds import AGENT, DOCUMENT, built, codes, document, envelope, variant

BOTH = [pytest.param(OUTSIDE, id="stable"), pytest.param(IN_CANARY, id="canary")]


def offered(overrides: dict[str, tuple[Any, str]], **parts: Any) -> dict[str, Any]:
    """A release with a canary of another role, and overrides above the two."""
    timed = {
        name: {"value": value, "expires_at": ends} for name, (value, ends) in overrides.items()
    }
    whole = {"stable": variant(1, role="Stable"), "canary": variant(2, role="Canary")}
    return envelope(5, **whole | {"rollout": rollout(), "overrides": timed} | parts)


def asked(snapshot: Snapshot, user: str, *, now: float = 0.0) -> Resolution:
    return resolve(snapshot, user_id=user, now=now)


@pytest.mark.parametrize(("user", "role"), [(OUTSIDE, "Stable"), (IN_CANARY, "Canary")])
def test_an_override_reaches_both_variants_and_leaves_both_at_its_moment(
    user: str, role: str
) -> None:
    items = document(offered({"role": ("Emergency", NINE)}))
    held = build(AGENT, items, now=AT_NINE - 1).snapshot
    over = build(AGENT, items, now=AT_NINE).snapshot

    assert asked(held, user).effective.config.role == "Emergency"
    assert asked(held, user).effective.override_keys == ("role",)
    assert asked(over, user).effective.config.role == role
    assert asked(over, user).effective.override_keys == ()


def test_each_override_leaves_the_canary_by_itself() -> None:
    items = document(offered({"role": ("Emergency", NINE), "max_iterations": (3, TEN)}))
    between = build(AGENT, items, now=AT_NINE).snapshot
    canary = asked(between, IN_CANARY).effective.config

    assert (canary.role, canary.max_iterations, between.expires_at) == ("Canary", 3, AT_TEN)


@pytest.mark.parametrize("user", BOTH)
def test_a_field_key_lies_above_an_override_in_both_variants(user: str) -> None:
    items = document(offered({"role": ("Emergency", NINE)}), agent_role="Key")

    assert asked(built(items).snapshot, user).effective.config.role == "Key"


def test_a_field_key_that_an_override_makes_invalid_is_refused_above_the_canary_alone() -> None:
    # Above stable the key fits; the canary is on another provider, whose models it is none of.
    canary = variant(2, provider="openai", model="gpt-small")
    items = document(offered({"role": ("Emergency", NINE)}, canary=canary), llm_model="offline")
    snapshot = built(items).snapshot

    assert snapshot.overrides == {"role": "Emergency", "model": "offline"}
    assert snapshot.canary_overrides == {"role": "Emergency"}
    assert [rejection.reason[:15] for rejection in snapshot.rejected] == ["for the canary:"]


@pytest.mark.parametrize("user", BOTH)
def test_a_field_key_may_need_the_overrides_below_it(user: str) -> None:
    to_openai = {"provider": ("openai", NINE), "model": ("gpt-small", NINE)}
    snapshot = built(document(offered(to_openai), llm_model="gpt-large")).snapshot

    assert snapshot.rejected == ()
    assert asked(snapshot, user).effective.config.model == "gpt-large"


@pytest.mark.parametrize("user", BOTH)
@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"set": {"role": "Flagged"}}, "role", "Emergency"),
        ({"tools": {"calculate": False}}, "tools", ["calculate"]),
        ({"guardrails": {"secrets": None}}, "guardrails", {"secrets": {}}),
    ],
)
def test_a_flag_never_undoes_an_override(
    user: str, change: dict[str, Any], field: str, value: Any
) -> None:
    flag = {"name": "beta", "percent": 100, **change}
    items = document(offered({field: (value, NINE)}, flags=[flag]))
    snapshot = built(items).snapshot
    found = asked(snapshot, user).effective

    assert snapshot.rejected == ()
    assert found.config.to_json()[field] == value


@pytest.mark.parametrize("user", BOTH)
def test_a_flag_that_does_not_go_with_an_override_stays_out(user: str) -> None:
    flag = {"name": "big", "percent": 100, "set": {"provider": "openai", "model": "gpt-large"}}
    found = asked(
        built(document(offered({"model": ("offline", NINE)}, flags=[flag]))).snapshot, user
    ).effective

    assert (found.config.provider, found.config.model, found.flags) == ("offline", "offline", ())


def test_an_override_that_only_the_canary_cannot_bear_refuses_the_envelope() -> None:
    canary = variant(2, provider="openai", model="gpt-small")
    result = built(document(offered({"model": ("offline", NINE)}, canary=canary)))

    assert codes(result) == {DOCUMENT: "constraint"}


def test_an_agent_that_takes_only_releases_gives_the_canary_its_signed_override() -> None:
    signed = OURS.signed(offered({"max_iterations": (3, NINE)}))
    snapshot = build(CAREFUL, document(signed, agent_role="By hand")).snapshot
    canary = asked(snapshot, IN_CANARY).effective

    assert (canary.variant, canary.config.role, canary.config.max_iterations) == (
        "canary",
        "Canary",
        3,
    )
    assert canary.override_keys == ("max_iterations",)
    assert [(r.key, r.code) for r in snapshot.rejected] == [("agent_role", "unsigned")]


def test_without_a_canary_there_is_nothing_above_it() -> None:
    alone = offered({"role": ("Emergency", NINE)}, canary=None, rollout=None)

    assert built(document(alone)).snapshot.canary_overrides == {}
