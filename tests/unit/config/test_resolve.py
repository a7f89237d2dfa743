"""What one caller gets: variant, flags, the layers above each other, and why."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from retunable.config.build import build
from retunable.config.checksum import checksum
from retunable.config.resolve import Resolution, VariantReason, resolve
from retunable.config.snapshot import Snapshot
from retunable.config.split import bucket_of
from retunable.config.stages import Place
from retunable.config.targeting import FlagReason, ListKey
from tests.unit.config.test_properties import hostile_stores
from tests.unit.config.worlds import AGENT, built, document, envelope, variant

SALT = "s-1"
USERS = [f"user-{number}" for number in range(3000)]
IN_CANARY = next(user for user in USERS if bucket_of(SALT, user) < 1000)
OUTSIDE = next(user for user in USERS if 1000 <= bucket_of(SALT, user) < 9000)
IN_CONTROL = next(user for user in USERS if bucket_of(SALT, user) >= 9000)


def rollout(stage: int = 0) -> dict[str, Any]:
    return {
        "id": "r-1",
        "salt": SALT,
        "stages": [10, 50],
        "stage": stage,
        "control_percent": None,
    }


def snapshot(*, overrides: dict[str, str] | None = None, **parts: Any) -> Snapshot:
    """A release with a canary of another role for 10 %."""
    whole = {"canary": variant(2, role="Canary"), "rollout": rollout()} | parts
    result = built(document(envelope(5, **whole), **(overrides or {})))
    assert result.snapshot.document == "envelope", result.snapshot.rejected
    return result.snapshot


def asked(known: Snapshot, user: str | None = None, **parts: Any) -> Resolution:
    return resolve(known, user_id=user, **({"now": 0.0} | parts))


def test_a_user_in_the_stage_gets_the_canary() -> None:
    found = asked(snapshot(), IN_CANARY)

    assert (found.effective.variant, found.effective.version) == ("canary", 2)
    assert found.effective.config.role == "Canary"
    assert found.assignment.reason is VariantReason.IN_STAGE
    assert found.assignment.place == Place(0, "canary")


def test_a_user_outside_gets_stable_with_the_reason() -> None:
    found = asked(snapshot(), OUTSIDE)

    assert (found.effective.variant, found.effective.version) == ("stable", 1)
    assert found.assignment.reason is VariantReason.OUTSIDE_STAGE
    assert found.assignment.place is None


def test_a_control_user_gets_stable_and_knows_its_place() -> None:
    found = asked(snapshot(), IN_CONTROL)

    assert found.effective.variant == "stable"
    assert found.assignment.place == Place(0, "control")


def test_without_a_user_the_conversation_decides_and_is_not_compared() -> None:
    found = asked(snapshot(), conversation_id=IN_CANARY)

    assert found.effective.variant == "canary"
    assert (found.assignment.decided_by, found.assignment.place) == ("conversation", None)


@pytest.mark.parametrize("user", [None, "", "x" * 257])
def test_whoever_cannot_be_split_gets_stable(user: str | None) -> None:
    found = asked(snapshot(), user)

    assert found.effective.variant == "stable"
    assert found.assignment.reason is VariantReason.NOBODY


def test_a_revoked_canary_reaches_nobody() -> None:
    known = snapshot()
    assert known.canary is not None
    found = asked(snapshot(revoked=[known.canary.checksum]), IN_CANARY)

    assert found.effective.variant == "stable"
    assert found.assignment.reason is VariantReason.REVOKED


def test_widening_the_rollout_takes_no_user_away() -> None:
    narrow, wide = snapshot(), snapshot(rollout=rollout(1))
    before = {user for user in USERS if asked(narrow, user).effective.variant == "canary"}
    after = {user for user in USERS if asked(wide, user).effective.variant == "canary"}

    assert before < after


def test_a_canary_without_a_rollout_reaches_nobody_and_is_named() -> None:
    known = snapshot(rollout=None)

    assert known.not_honoured == ("canary",)
    assert {asked(known, user).effective.variant for user in USERS} == {"stable"}


def test_field_keys_lie_above_the_canary() -> None:
    effective = asked(snapshot(overrides={"agent_role": "Key"}), IN_CANARY).effective

    assert (effective.config.role, effective.override_keys) == ("Key", ("role",))
    assert effective.version == 2


def test_a_field_key_that_breaks_a_rule_above_the_canary_alone_is_left_out_there_and_said() -> None:
    canary = variant(2, tools=["search"])
    known = snapshot(canary=canary, overrides={"tool_choice": "calculate"})

    assert asked(known, IN_CANARY).effective.config.tool_choice is None
    assert asked(known, OUTSIDE).effective.config.tool_choice == "calculate"
    assert [rejection.reason.split(":")[0] for rejection in known.rejected] == ["for the canary"]


def test_flags_lie_above_the_variant_and_below_the_field_keys() -> None:
    flags = [{"name": "warm", "percent": 100, "set": {"temperature": 1, "agent_goal": "Flag"}}]
    known = snapshot(flags=flags, overrides={"agent_goal": "Key"})
    effective = asked(known, IN_CANARY).effective

    assert (effective.config.temperature, effective.config.goal) == (1, "Key")
    assert (effective.config.role, effective.flags) == ("Canary", ("warm",))


def test_each_flag_has_its_reason() -> None:
    flags = [
        {"name": "a", "percent": 100},
        {"name": "b", "enabled": False},
        {"name": "c", "when": [{"attribute": "plan", "in": ["pro"]}]},
    ]
    known = snapshot(flags=flags)

    assert [(one.name, one.on) for one in asked(known).flags] == [
        ("a", True),
        ("b", False),
        ("c", False),
    ]
    assert asked(known, attributes={"plan": "pro"}).flags[2].reason is FlagReason.MATCHED


def test_a_flag_expires_by_the_clock_of_the_caller() -> None:
    flags = [{"name": "a", "percent": 100, "expires_at": "2027-01-01T00:00:00Z"}]
    known = snapshot(flags=flags)

    assert asked(known, "zoe", now=1_798_761_599).effective.flags == ("a",)
    assert asked(known, "zoe", now=1_798_761_600).effective.flags == ()


def test_a_key_that_arrives_later_finds_the_listed_user() -> None:
    key = ListKey.of(b"k")
    users = {"key_id": key.id, "hashes": [key.listed_as("a", "zoe")]}
    known = snapshot(flags=[{"name": "a", "users": users}])

    assert asked(known, "zoe").flags[0].reason is FlagReason.OTHER_KEY
    assert asked(known, "zoe", list_key=key).flags[0].reason is FlagReason.LISTED


def test_flags_that_break_a_rule_only_together_are_left_out_and_say_so() -> None:
    flags = [
        {"name": "choose", "percent": 100, "set": {"tool_choice": "search"}},
        {"name": "without", "percent": 100, "tools": {"search": False}},
        {"name": "warm", "percent": 100, "set": {"temperature": 1}},
    ]
    found = asked(snapshot(flags=flags), "zoe")

    assert found.effective.flags == ("warm",)
    assert [one.reason for one in found.flags[:2]] == [FlagReason.CONFLICT] * 2
    assert AGENT.constraints.check(found.effective.config) == ()


def test_a_flag_that_breaks_a_rule_with_a_field_key_gives_way_to_it() -> None:
    flags = [{"name": "without", "percent": 100, "tools": {"search": False}}]
    found = asked(snapshot(flags=flags, overrides={"tool_choice": "search"}), "zoe")

    assert found.flags[0].reason is FlagReason.CONFLICT
    assert found.effective.config.tool_choice == "search"


def test_the_effective_checksum_is_that_of_the_config() -> None:
    flags = [
        {"name": "warm", "percent": 50, "salt": "w", "set": {"temperature": 1.5, "goal": "é|"}},
        {"name": "tool", "percent": 50, "salt": "t", "tools": {"calculate": False}},
        {"name": "guard", "percent": 50, "salt": "g", "guardrails": {"length": {"most": 1}}},
    ]
    known = snapshot(flags=flags, overrides={"max_iterations": "7"})
    found = [asked(known, user).effective for user in USERS[:200]]

    assert len({one.checksum for one in found}) > 8
    assert all(one.checksum == checksum(one.config.to_json()) for one in found)


def test_callers_told_apart_by_an_attribute_are_not_mixed_up() -> None:
    known = snapshot(flags=[{"name": "a", "when": [{"attribute": "plan", "in": ["pro"]}]}])
    plans = [asked(known, "zoe", attributes={"plan": plan}).flags[0].on for plan in ("pro", "x")]

    assert plans == [True, False]


def test_what_is_settled_for_users_is_not_taken_for_conversations() -> None:
    key = ListKey.of(b"secret")
    listed = {"key_id": key.id, "hashes": [key.listed_as("beta", "zoe")]}
    known = snapshot(flags=[{"name": "beta", "users": listed}])

    first = resolve(known, user_id="zoe", now=0, list_key=key)
    other = resolve(known, conversation_id="zoe", now=0, list_key=key)
    assert [one.flags[0].reason for one in (first, other)] == [
        FlagReason.LISTED,
        FlagReason.NOT_LISTED,
    ]


def test_a_caller_asked_about_twice_gets_the_remembered_answer() -> None:
    known = snapshot()
    assert asked(known, "zoe") is asked(known, "zoe")


def test_what_is_remembered_is_bounded() -> None:
    known = snapshot()
    for number in range(10_000):
        asked(known, f"u{number}")
    assert len(known.memo) <= 2 * 2048


@settings(max_examples=500, deadline=None)
@given(hostile_stores, st.none() | st.text(), st.none() | st.text())
def test_no_store_and_no_caller_raise_and_what_runs_is_valid(
    store: Any, user: str | None, conversation: str | None
) -> None:
    known = build(AGENT, store).snapshot
    found = resolve(known, user_id=user, conversation_id=conversation, attributes={}, now=0)

    assert AGENT.constraints.check(found.effective.config) == ()


many_flags = st.lists(
    st.sampled_from(
        [
            {"set": {"tool_choice": "search"}},
            {"set": {"tool_choice": "required"}},
            {"set": {"provider": "openai", "model": "gpt-small"}},
            {"tools": {"search": False}},
            {"tools": {"calculate": False}},
            {"guardrails": {"length": {"most": 3}}},
        ]
    ),
    max_size=6,
)
field_keys = st.fixed_dictionaries(
    {},
    optional={
        "tool_choice": st.sampled_from(["search", "calculate", "required", "none"]),
        "tools": st.sampled_from(['["search"]', "[]"]),
        "llm_model": st.sampled_from(["gpt-large", "offline"]),
        "llm_provider": st.sampled_from(["openai", "offline"]),
    },
)


@settings(max_examples=500, deadline=None)
@given(many_flags, field_keys, st.sampled_from([["search"], ["search", "calculate"]]))
def test_whatever_flags_and_field_keys_meet_what_runs_is_valid(
    changes: list[dict[str, Any]], keys: dict[str, str], tools: list[str]
) -> None:
    flags = [{"name": f"f{n}", "percent": 100} | change for n, change in enumerate(changes)]
    offered = document(
        envelope(canary=variant(2, tools=tools), rollout=rollout(), flags=flags), **keys
    )
    known = build(AGENT, offered).snapshot

    for user in (IN_CANARY, OUTSIDE):
        assert AGENT.constraints.check(asked(known, user).effective.config) == ()
