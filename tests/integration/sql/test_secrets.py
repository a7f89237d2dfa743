"""A secret is refused before anything records it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg import errors, sql

from retunable.config.fields import is_secret_name

if TYPE_CHECKING:
    from dev.postgres import PostgresServer
    from tests.integration.sql.database import Database

pytestmark = pytest.mark.postgresql

SECRET = "sk-a-very-secret-thing"

KEYS = [
    "llm_api_key",
    "support/llm_api_key",
    "api_key",
    "openai_api_key",
    "OPENAI-API-KEY",
    "openaiApiKey",
    "db/password",
    "client_secret",
    "auth_token",
    "token",
    "AWS_SECRET_ACCESS_KEY",
]

DOCUMENTS = [
    '{"llm_api_key": "sk-a-very-secret-thing", "role": "Expert"}',
    '{"LLM-API-KEY": "sk-a-very-secret-thing"}',
    '{"llm_\\u0061pi_key": "sk-a-very-secret-thing"}',
    '{"password": "sk-a-very-secret-thing"}',
    '{"agent_role": "Expert", "token": ["sk-a-very-secret-thing"]}',
    '{"llm_api_key": "sk-a-very-secret-thing", "llm_api_key": ""}',
    '{"retunable": 1, "stable": {"config": {"api_key": "sk-a-very-secret-thing"}}}',
    '{"retunable": 1, "canary": {"config": {"api_key": "sk-a-very-secret-thing"}}}',
    '{"llm_api_key": "sk-a-very-secret-thing",}',
    "{'llm_api_key': 'sk-a-very-secret-thing'}",
]


def _nothing_recorded(database: Database, server: PostgresServer) -> None:
    assert database.rows() == []
    assert database.audit() == []
    assert SECRET not in server.log.read_text()


@pytest.mark.parametrize("key", KEYS)
def test_a_secret_key_is_refused_and_nowhere_recorded(
    database: Database, server: PostgresServer, key: str
) -> None:
    with pytest.raises(errors.CheckViolation, match="looks like a secret") as refusal:
        # As psql sends it: the value stands in the statement that a log would quote.
        database.connection.execute(
            sql.SQL("INSERT INTO configuration (key, value) VALUES ({}, {})").format(key, SECRET)
        )

    assert SECRET not in str(refusal.value)
    assert "secretstore/key" in str(refusal.value.diag.message_hint)
    _nothing_recorded(database, server)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_secret_inside_a_document_is_refused_and_nowhere_recorded(
    database: Database, server: PostgresServer, document: str
) -> None:
    assert SECRET in document
    with pytest.raises(errors.CheckViolation, match=r"my_agent: .* looks like a secret"):
        database.put("my_agent", document)

    _nothing_recorded(database, server)


def test_copy_does_not_bring_a_secret_into_the_log(
    database: Database, server: PostgresServer
) -> None:
    with (
        pytest.raises(errors.CheckViolation),
        database.connection.cursor().copy("COPY configuration (key, value) FROM STDIN") as copy,
    ):
        copy.write_row(("llm_api_key", SECRET))

    _nothing_recorded(database, server)


def test_a_secret_in_the_metadata_is_refused(database: Database, server: PostgresServer) -> None:
    with pytest.raises(errors.CheckViolation, match="api_key looks like a secret"):
        database.run(
            "INSERT INTO configuration VALUES ('agent_role', 'x', '1',"
            ' \'{"api_key": "sk-a-very-secret-thing"}\')'
        )

    _nothing_recorded(database, server)


def test_a_row_cannot_be_renamed_to_a_secret(database: Database) -> None:
    database.put("other", SECRET)

    with pytest.raises(errors.CheckViolation, match="llm_api_key looks like a secret"):
        database.run("UPDATE configuration SET key = 'llm_api_key'")


def test_the_log_shows_statements_again_after_a_refused_secret(
    database: Database, server: PostgresServer
) -> None:
    with pytest.raises(errors.CheckViolation):
        database.put("llm_api_key", SECRET)
    with pytest.raises(errors.CheckViolation):
        database.run("INSERT INTO configuration VALUES ('max_iterations', 'seen-in-the-log')")

    assert "VALUES ('max_iterations', 'seen-in-the-log')" in server.log.read_text()


def test_a_secret_that_was_there_before_is_named_and_withheld_from_the_audit(
    empty: Database, server: PostgresServer
) -> None:
    empty.apply_documented()
    empty.run(
        "INSERT INTO configuration VALUES"
        " ('llm_api_key', %s, '1'), ('llm_api_key', %s, '2'), ('my_agent', %s, '1')",
        (SECRET, SECRET, DOCUMENTS[0]),
    )
    empty.apply()
    empty.run("DELETE FROM configuration")

    warnings = [notice for notice in empty.notices if notice.startswith("WARNING")]
    assert warnings == [
        "WARNING: configuration holds a secret under llm_api_key",
        "WARNING: configuration holds a secret under my_agent",
    ]
    assert len(empty.audit()) == 3
    assert SECRET not in str(empty.audit())
    assert {row["old_value"] for row in empty.audit()} == {
        "[secret, 22 characters]",
        f"[secret, {len(DOCUMENTS[0])} characters]",
    }


@pytest.mark.parametrize("key", [*KEYS, "max_tokens", "token_budget", "tools", "my_agent"])
def test_what_the_agent_calls_a_secret_the_trigger_does_too(database: Database, key: str) -> None:
    ((ours,),) = database.run("SELECT retunable_is_secret_name(%s)", (key,))

    assert ours is (key in KEYS)
    assert ours or not is_secret_name(key)
