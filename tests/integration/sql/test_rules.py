"""Types and ranges of our own keys, and that nobody else's key is looked at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import errors

from retunable.config.agent_config import InvalidField, check_field
from retunable.config.fields import FIELDS, Field, FieldTextError, parse_field_text

if TYPE_CHECKING:
    from tests.integration.sql.database import Database

pytestmark = pytest.mark.postgresql

VALID = [
    ("agent_role", "Expert"),
    ("agent_role", "x" * 262_144),
    ("agent_goal", "{{7*7}} {name} {% x %} || \u00e9\r\n"),
    ("agent_instructions", "one plain string"),
    ("agent_instructions", '["a", "b"]'),
    ("agent_instructions", "[]"),
    ("agent_instructions", '["' + "\\n" * 200_000 + '"]'),
    ("agent_style_guidelines", ' ["short"] '),
    ("agent_system_prompt", '{"api_key": "is just text here"}'),
    ("llm_model", "gpt-5"),
    ("llm_provider", "openai"),
    ("llm_temperature", "0.7"),
    ("llm_temperature", " 1e-1 "),
    ("llm_temperature", "2"),
    ("llm_max_tokens", "4000"),
    ("max_iterations", "1"),
    ("max_iterations", " 1000\n"),
    ("tools", '["search"]'),
    ("tools", "[]"),
    ("tool_choice", "auto"),
    ("guardrails", '{"length": {"max": 10}}'),
    ("guardrail_threshold", "0"),
    ("support/max_iterations", "20"),
    ("eu/support.v2/agent_role", "Expert"),
    # An empty text counts as absent.
    ("max_iterations", ""),
    ("tools", ""),
    ("llm_api_key", ""),
]

INVALID = [
    ("max_iterations", "abc", 'max_iterations must be an integer from 1 to 1000, got "abc"'),
    ("max_iterations", "0", "integer from 1 to 1000"),
    ("max_iterations", "1001", "integer from 1 to 1000"),
    ("max_iterations", "20.0", "integer from 1 to 1000"),
    ("max_iterations", "\uff19", "integer from 1 to 1000"),
    ("max_iterations", "1" * 5000, "integer from 1 to 1000"),
    ("max_iterations", " ", "integer from 1 to 1000"),
    ("support/max_iterations", "abc", "support/max_iterations must be"),
    ("llm_max_tokens", "0", "integer from 1 to 10000000"),
    ("llm_temperature", "hot", "a number from 0 to 2"),
    ("llm_temperature", "NaN", "a number from 0 to 2"),
    ("llm_temperature", "Infinity", "a number from 0 to 2"),
    ("llm_temperature", "2.1", "a number from 0 to 2"),
    ("llm_temperature", "-0.1", "a number from 0 to 2"),
    ("guardrail_threshold", "1.01", "a number from 0 to 1"),
    ("agent_role", "x" * 262_145, "at most 262144 bytes"),
    ("agent_role", "\u00e9" * 131_073, "at most 262144 bytes, got 262146"),
    ("agent_instructions", '["a", 1]', "nothing but strings"),
    ("agent_instructions", '["a"', "a JSON list of strings"),
    ("agent_instructions", '["\\u0000"]', "a JSON list of strings"),
    ("agent_style_guidelines", '["' + "x" * 262_145 + '"]', "at most 262144 bytes"),
    ("llm_model", "x" * 257, "at most 256 characters"),
    ("tools", "search", "a JSON list of strings"),
    ("tools", '{"search": true}', "a JSON list of strings"),
    ("tools", '["search", "search"]', "each tool once"),
    ("tools", '[""]', "names of 1 to 256 characters"),
    ("guardrails", "[]", "a JSON object"),
    ("guardrails", '{"length": 3}', "map each check to a JSON object"),
    ("guardrails", '{"a": {}, "a": {}}', "a name twice"),
    ("guardrails", '{"a": {"n": NaN}}', "a JSON object"),
    ("guardrails", '{"a": {"n": 1e999}}', "not finite"),
    ("guardrails", '{"a": {"n": 9007199254740992}}', "not exact"),
    ("guardrails", '{"a":' * 2000 + "1" + "}" * 2000, "a JSON object|nested deeper"),
    ("support-agent/agent_role", "x", "a key that Dapr cannot read"),
    ("/agent_role", "x", "a key that Dapr cannot read"),
    ("my_agent", '{"agent_goal": "' + "x" * 1_048_576 + '"}', "at most 1048576 bytes"),
    ("anything", "x" * (4 * 1024 * 1024 + 1), "at most"),
    ("k" * 1001, "x", "more than 1000 bytes"),
]

FOREIGN = [
    ("max_iterationz", "abc"),
    ("MAX_ITERATIONS", "abc"),
    ("other-app:feature", "{ not json"),
    ("other_app", '{"role": 1, "tools": "hammer", "retries": -1}'),
    ("other_app", '{"token_ttl": "60", "secrets": ["a"], "password": null}'),
    ("tools/list", "not a list"),
    ("big", "x" * 3_900_000),
    ("", "no name"),
]


@pytest.mark.parametrize(("key", "value"), VALID)
def test_a_valid_value_is_stored_as_it_is(database: Database, key: str, value: str) -> None:
    database.put(key, value)

    assert database.rows() == [(key, value, "1")]


@pytest.mark.parametrize(("key", "value", "reason"), INVALID)
def test_an_invalid_value_is_refused_with_its_reason_and_a_mend(
    database: Database, key: str, value: str, reason: str
) -> None:
    with pytest.raises(errors.CheckViolation, match=reason) as refusal:
        database.put(key, value)

    assert refusal.value.diag.message_hint
    assert database.rows() == []
    assert database.audit() == []


def test_an_update_is_checked_like_an_insert(database: Database) -> None:
    database.put("max_iterations", "20")

    with pytest.raises(errors.CheckViolation, match="from 1 to 1000"):
        database.run("UPDATE configuration SET value = '0'")
    with pytest.raises(errors.CheckViolation, match="a number from 0 to 2"):
        database.run("UPDATE configuration SET key = 'llm_temperature'")
    assert database.rows() == [("max_iterations", "20", "1")]


@pytest.mark.parametrize(("key", "value"), FOREIGN)
def test_other_peoples_keys_pass_untouched(database: Database, key: str, value: str) -> None:
    database.run("INSERT INTO configuration VALUES (%s, %s, 'v1-beta')", (key, value))

    assert database.rows() == [(key, value, "v1-beta")]


@pytest.mark.parametrize("column", ["key", "value", "version"])
def test_null_is_refused(database: Database, column: str) -> None:
    row = {"key": "other", "value": "x", "version": "1"} | {column: None}

    with pytest.raises(errors.NotNullViolation, match="must not be NULL"):
        database.run("INSERT INTO configuration VALUES (%s, %s, %s)", tuple(row.values()))


@pytest.mark.parametrize("metadata", ["[]", "null", '"text"', "1", '{"a": 1}', '{"a": null}'])
def test_metadata_that_dapr_cannot_read_is_refused(database: Database, metadata: str) -> None:
    with pytest.raises(errors.CheckViolation, match="METADATA must"):
        database.run("INSERT INTO configuration VALUES ('other', 'x', '1', %s)", (metadata,))


def test_metadata_of_strings_is_stored(database: Database) -> None:
    database.run("INSERT INTO configuration VALUES ('agent_role', 'x', '1', '{\"owner\": \"me\"}')")

    assert database.run("SELECT metadata FROM configuration") == [({"owner": "me"},)]


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)
TEXTS = st.one_of(
    # At most 15 digits: beyond them the trigger compares exactly what Python rounds.
    st.from_regex(
        r"[ \n]?[+-]?[0-9]{0,3}(\.[0-9]{0,12})?([eE][+-]?[0-9]{0,2})?[ \t]?", fullmatch=True
    ),
    st.floats(-1, 3).map(str),
    st.integers(-2, 1002).map(str),
    st.builds(json.dumps, JSON, ensure_ascii=st.booleans()),
    st.lists(st.sampled_from(["a", "b", "", "x" * 256, "x" * 257]), max_size=3).map(json.dumps),
    st.dictionaries(st.text(max_size=2), st.dictionaries(st.text(max_size=2), JSON)).map(
        json.dumps
    ),
    st.text(max_size=20),
)


def _storable(text: str) -> bool:
    # The program also trims spaces that only Unicode knows; the trigger asks for a plain number.
    return text != "" and "\0" not in text and text.strip() == text.strip(" \t\n\r\f\v")


def _agent_accepts(field: Field, text: str) -> bool:
    try:
        check_field(field.name, parse_field_text(field, text))
    except (FieldTextError, InvalidField):
        return False
    return True


def test_the_trigger_and_the_agent_refuse_the_same_values(database: Database) -> None:
    @settings(max_examples=400, deadline=None, database=None)
    @given(st.sampled_from(FIELDS), TEXTS.filter(_storable))
    def agree(field: Field, text: str) -> None:
        ((reason,),) = database.run("SELECT reason FROM retunable_fault(%s, %s)", (field.key, text))

        assert (reason is None) == _agent_accepts(field, text)

    agree()
