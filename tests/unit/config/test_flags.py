"""Flags: what an envelope may say of them, whom they reach, and why."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from retunable.config.agent_config import AgentConfig
from retunable.config.flags import Flag, parse_flags, with_flags
from retunable.config.rejection import Refused
from retunable.config.split import BUCKETS, bucket_of, unit_of
from retunable.config.targeting import Caller, FlagDecision, FlagReason, ListKey, evaluate
from tests.unit.config.worlds import CONSTRAINTS, DEFAULTS

KEY = ListKey.of(b"the key of the lists")
BASE = DEFAULTS.with_values({"tools": ("search",)})
NEW_YEAR = 1_798_761_600.0  # 2027-01-01T00:00:00Z
PRO = {"attribute": "plan", "in": ["pro"]}


def flag(**parts: Any) -> Flag:
    (read,) = parse_flags([{"name": "beta"} | parts], variants=(BASE,), constraints=CONSTRAINTS)
    return read


def listing(*users: str, key: ListKey = KEY, name: str = "beta") -> dict[str, Any]:
    return {"key_id": key.id, "hashes": [key.listed_as(name, user) for user in users]}


def reason(
    read: Flag,
    user: str | None = "zoe",
    *,
    key: ListKey | None = KEY,
    now: float = 0,
    **attributes: str,
) -> FlagReason:
    return evaluate(read, Caller(unit_of(user, None), attributes, key), now=now)


def changed(**parts: Any) -> AgentConfig:
    return with_flags(BASE, (flag(**parts),))


def test_a_listed_user_has_the_flag_and_another_has_not() -> None:
    read = flag(users=listing("zoe"))

    assert reason(read, "zoe") is FlagReason.LISTED
    assert reason(read, "eve") is FlagReason.NOT_LISTED
    assert reason(read, None) is FlagReason.NOT_LISTED


def test_a_list_of_one_flag_says_nothing_about_another() -> None:
    assert KEY.listed_as("beta", "zoe") != KEY.listed_as("gamma", "zoe")
    assert reason(flag(name="gamma", users=listing("zoe", name="beta"))) is FlagReason.NOT_LISTED


def test_a_list_made_with_another_key_is_said_to_be_unreadable() -> None:
    read = flag(users=listing("zoe", key=ListKey.of(b"another")))

    assert reason(read) is FlagReason.OTHER_KEY
    assert reason(flag(users=listing("zoe")), key=None) is FlagReason.OTHER_KEY


def test_rules_must_all_hold() -> None:
    read = flag(when=[PRO, {"attribute": "country", "not_in": ["DE"]}])

    assert reason(read, plan="pro", country="FR") is FlagReason.MATCHED
    assert reason(read, plan="pro", country="DE") is FlagReason.NOT_MATCHED
    assert reason(read, plan="free", country="FR") is FlagReason.NOT_MATCHED


def test_an_attribute_that_nobody_told_meets_no_rule() -> None:
    assert reason(flag(when=[{"attribute": "country", "not_in": ["DE"]}])) is FlagReason.NOT_MATCHED


def test_a_percent_splits_with_the_flags_own_salt() -> None:
    read = flag(percent=50, salt="own")
    users = [f"user-{number}" for number in range(1000)]

    inside = {user for user in users if reason(read, user) is FlagReason.IN_PERCENT}
    assert inside == {user for user in users if bucket_of("own", user) < BUCKETS // 2}
    assert reason(read, None) is FlagReason.NOBODY


def test_a_percent_is_taken_of_those_who_meet_the_rules() -> None:
    read = flag(when=[PRO], percent=100)

    assert reason(read, plan="free") is FlagReason.NOT_MATCHED
    assert reason(flag(when=[PRO], percent=0), plan="pro") is FlagReason.OUTSIDE_PERCENT


def test_a_listed_user_needs_neither_rule_nor_percent() -> None:
    assert reason(flag(users=listing("zoe"), when=[PRO])) is FlagReason.LISTED


def test_a_flag_past_its_expiry_is_off_and_says_so() -> None:
    read = flag(percent=100, expires_at="2027-01-01T00:00:00Z")

    assert reason(read, now=NEW_YEAR - 1) is FlagReason.IN_PERCENT
    assert reason(read, now=NEW_YEAR) is FlagReason.EXPIRED


def test_a_disabled_flag_is_off() -> None:
    assert reason(flag(percent=100, enabled=False)) is FlagReason.DISABLED


def test_a_flag_for_nobody_is_off() -> None:
    assert not FlagDecision("beta", reason(flag())).on


def test_a_flag_puts_tools_on_and_off_and_keeps_the_rest() -> None:
    assert changed(tools={"calculate": True}).tools == ("search", "calculate")
    assert changed(tools={"search": False, "calculate": True}).tools == ("calculate",)
    assert changed(tools={"search": True}).tools == ("search",)


def test_a_flag_puts_guardrails_on_and_off() -> None:
    base = BASE.with_values({"guardrails": {"length": {"most": 5}}})
    read = flag(guardrails={"length": None, "terms": {"blocked": ["x"]}})

    assert with_flags(base, (read,)).guardrails == {"terms": {"blocked": ["x"]}}


def test_a_flag_sets_fields() -> None:
    assert changed(set={"temperature": 0.5, "agent_role": "Beta"}).role == "Beta"


@pytest.mark.parametrize(
    ("parts", "code", "said"),
    [
        ({"name": "Beta Search"}, "shape", "beta-search"),
        ({"colour": "red"}, "unknown_field", "'colour'"),
        ({"percent": 5}, "shape", "salt of its own"),
        ({"percent": 0.001, "salt": "s"}, "shape", "steps of 0.01"),
        ({"users": {"key_id": "k", "hashes": ["zoe@example.org"]}}, "shape", "never ids"),
        ({"users": ["zoe"]}, "shape", "must be an object"),
        ({"when": [{"attribute": "plan"}]}, "shape", "lacks in"),
        ({"when": [{"attribute": "plan", "in": []}]}, "shape", "list of texts"),
        ({"when": [{"attribute": "plan", "in": [1]}]}, "shape", "list of texts"),
        ({"expires_at": "tomorrow"}, "shape", "2027-01-31"),
        ({"expires_at": "2027-01-31T00:00:00"}, "shape", "2027-01-31"),
        ({"enabled": "yes"}, "shape", "true or false"),
        ({"set": False}, "shape", "must be an object"),
        ({"set": {"tools": ["search"]}}, "shape", "its part 'tools'"),
        ({"set": {"temprature": 1}}, "unknown_field", "temperature"),
        ({"set": {"temperature": 3}}, "invalid_value", "temperature"),
        ({"set": {"max_iterations": 501}}, "constraint", "500"),
        ({"set": {"model": "gpt-small"}}, "constraint", "'gpt-small'"),
        ({"tools": {"delete": True}}, "constraint", "'delete'"),
        ({"tools": {"search": 1}}, "shape", "true or false"),
        ({"guardrails": {"length": 5}}, "shape", "must be an object"),
    ],
)
def test_a_faulty_flag_is_refused(parts: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        flag(**parts)

    assert refused.value.code == code


def test_flags_that_are_too_much_together_are_refused() -> None:
    blocked = {"terms": {"blocked": ["x" * 200_000]}}
    flags = [{"name": name, "guardrails": blocked} for name in ("a", "b")]

    parse_flags(flags[:1], variants=(BASE,), constraints=CONSTRAINTS)
    with pytest.raises(Refused, match="more guardrails than 262144 bytes"):
        parse_flags(flags, variants=(BASE,), constraints=CONSTRAINTS)


def test_two_flags_of_one_name_are_refused() -> None:
    with pytest.raises(Refused, match="'beta' twice"):
        parse_flags([{"name": "beta"}] * 2, variants=(BASE,), constraints=CONSTRAINTS)


@given(st.text(min_size=1, max_size=40), st.integers(0, BUCKETS), st.integers(0, BUCKETS))
def test_a_percent_that_grows_never_loses_a_user(user: str, one: int, two: int) -> None:
    small, large = (flag(percent=p / 100, salt="s") for p in sorted((one, two)))

    if reason(small, user) is FlagReason.IN_PERCENT:
        assert reason(large, user) is FlagReason.IN_PERCENT
