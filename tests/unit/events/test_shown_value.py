"""What is told of a value: no secret, nothing endless, an envelope by its checksums."""

from __future__ import annotations

import json

import pytest

from retunable.events.shown_value import LONGEST, shown_value

SECRET = "sk-very-secret"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        pytest.param("llm_api_key", SECRET, id="a secret's key"),
        pytest.param("support", json.dumps({"api_key": SECRET}), id="document"),
        pytest.param("support", json.dumps({"a": [{"openaiApiKey": SECRET}]}), id="deep inside"),
        pytest.param("support", f'{{"password": "{SECRET}", }}', id="broken document"),
        pytest.param(
            "support", json.dumps({"retunable": 1, "overrides": {"token": SECRET}}), id="envelope"
        ),
        pytest.param(
            "support",
            json.dumps({"retunable": 1, "stable": {"config": {"api_key": SECRET}}}),
            id="config of an envelope",
        ),
    ],
)
def test_a_secret_is_never_told(key: str, text: str) -> None:
    assert SECRET not in str(shown_value(key, text))


def test_a_plain_value_is_told_as_it_stands() -> None:
    assert shown_value("agent_role", "{{7*7}} ü") == "{{7*7}} ü"
    assert shown_value("max_tokens", None) is None


def test_a_long_value_is_told_by_its_hash() -> None:
    one, other = (shown_value("agent_role", end + "x" * LONGEST) for end in "ab")
    assert one != other
    assert len(str(one)) < 200


def test_what_no_database_takes_is_replaced() -> None:
    assert shown_value("agent_role", "a\0b\ud800") == "a\N{SYMBOL FOR NULL}b?"


def test_two_envelopes_differ_by_their_configs_and_not_by_signature_and_time() -> None:
    def envelope(role: str, **more: str) -> str:
        stable = {"version": 1, "checksum": "c", "config": {"role": role}}
        return json.dumps({"retunable": 1, "generation": 2, "stable": stable, **more})

    signed = shown_value("support", envelope("a", signature="s", published_at="now"))
    assert shown_value("support", envelope("a")) == signed
    assert shown_value("support", envelope("b")) != signed
