"""What is done with the triggers switched off is found, and what the store holds is not run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from retunable.errors import ReleaseDamaged
from retunable.release.store import versions
from retunable.release.store.audit import entries
from retunable.release.store.verifying import Verification, verify
from tests.contract.release.steps import deploy, fill, save

if TYPE_CHECKING:
    from tests.contract.release.homes import Home, PostgresHome, SqliteHome


@pytest.fixture
def filled(home: Home) -> Home:
    """Entries: 1 save, 2 approve, 3 activate, 4 confirm, 5 policy, 6 and 7 rollout, 11 observed.

    8 to 10 are another agent's in another environment.
    """
    fill(home)
    return home


def verified(home: Home) -> Verification:
    with home.open() as store, store.snapshot() as work:
        return verify(work)


def found(home: Home) -> list[str]:
    return [f"{problem.place}: {problem.reason}" for problem in verified(home).problems]


def test_what_nobody_touched_is_intact(filled: Home) -> None:
    verification = verified(filled)

    assert verification.problems == ()
    assert [(verification.head.hash,)] == filled.raw(
        "SELECT hash FROM release_audit ORDER BY sequence DESC LIMIT 1"
    )


CHANGED = {
    "the actor": "UPDATE release_audit SET actor = 'eve' WHERE sequence = 2",
    "the claimed name": "UPDATE release_audit SET claimed = 'ben' WHERE sequence = 2",
    "the reason": "UPDATE release_audit SET reason = 'none' WHERE sequence = 2",
    "the data": "UPDATE release_audit SET data = '{}' WHERE sequence = 2",
    "the version": "UPDATE release_audit SET version = 2 WHERE sequence = 2",
    "the environment": "UPDATE release_audit SET environment = NULL WHERE sequence = 2",
}


@pytest.mark.parametrize("statement", CHANGED.values(), ids=CHANGED.keys())
def test_a_changed_entry_is_named(filled: Home, statement: str) -> None:
    filled.unguarded(statement)

    assert found(filled) == ["audit entry 2: was changed: its hash does not fit what it says"]


def test_a_changed_time_is_named(filled: Home) -> None:
    filled.unguarded("UPDATE release_audit SET at = '2030-01-01T00:00:00.000Z' WHERE sequence = 4")

    assert found(filled) == ["audit entry 4: was changed: its hash does not fit what it says"]


def test_a_deleted_entry_is_named(filled: Home) -> None:
    filled.unguarded("DELETE FROM release_audit WHERE sequence = 2")

    assert found(filled) == ["audit entry 2: is missing; the next entry is 3"]


def test_two_exchanged_entries_are_named(filled: Home) -> None:
    filled.unguarded(
        "UPDATE release_audit SET sequence = 99 WHERE sequence = 2",
        "UPDATE release_audit SET sequence = 2 WHERE sequence = 3",
        "UPDATE release_audit SET sequence = 3 WHERE sequence = 99",
    )

    assert found(filled) == ["audit entry 2: does not name the hash of the entry before it"]


DETAILS = {
    "who wrote a version": (
        "UPDATE release_versions SET source = 'captured' WHERE agent = 'support'",
        "release_versions, row 1: source is not what the audit recorded",
    ),
    "an environment": (
        "UPDATE release_deployments SET environment = 'staging' WHERE agent = 'support'",
        "release_deployments, row 3: environment is not what the audit recorded",
    ),
    "a generation": (
        "UPDATE release_deployments SET generation = 100 WHERE agent = 'support'",
        "release_deployments, row 3: generation is not what the audit recorded",
    ),
    "an outcome": (
        "UPDATE release_outcomes SET outcome = 'withdrawn' WHERE sequence = 4",
        "release_outcomes, row 4: outcome is not what the audit recorded",
    ),
    "who approved": (
        "UPDATE release_approvals SET approver = 'chloe'",
        "release_approvals, row 2: approver is not what the audit recorded",
    ),
    "a rule": (
        "UPDATE release_policies SET require_approval = 9",
        "release_policies, row 5: require_approval is not what the audit recorded",
    ),
    "what was observed": (
        "UPDATE release_observations SET not_after_ms = 9",
        "release_observations, row 11: not_after_ms is not what the audit recorded",
    ),
    "a row that is gone": (
        "DELETE FROM release_approvals",
        "release_approvals, row 2: is missing; the audit tells of it",
    ),
    "a row that was put in": (
        "INSERT INTO release_approvals SELECT 3, agent, environment, version, checksum, 'eve' "
        "FROM release_approvals",
        "release_approvals, row 3: no audit entry tells of it",
    ),
}


@pytest.mark.parametrize(("statement", "said"), DETAILS.values(), ids=DETAILS.keys())
def test_a_changed_row_is_named(filled: Home, statement: str, said: str) -> None:
    filled.unguarded(statement)

    assert found(filled) == [said]


def test_a_config_changed_with_its_checksum_is_named_and_never_read(
    sqlite_home: SqliteHome,
) -> None:
    """PostgreSQL refuses such a row even without triggers: the checksum is a CHECK there."""
    fill(sqlite_home)
    sqlite_home.unguarded(
        "UPDATE release_versions SET config = CAST(replace(config, 'openai', 'other0') AS BLOB) "
        "WHERE agent = 'support'"
    )

    assert found(sqlite_home) == [
        "release_versions, row 1: config does not have the checksum that was recorded"
    ]
    with sqlite_home.open() as store, store.snapshot() as work:
        version = versions.version(work, "support", 1)
        assert version is not None
        with pytest.raises(ReleaseDamaged, match="version 1 of support is not what was saved"):
            versions.config(work, version)


@pytest.mark.postgresql
def test_postgresql_takes_no_config_without_its_checksum(postgres_home: PostgresHome) -> None:
    fill(postgres_home)

    with pytest.raises(postgres_home.refusals, match="release_versions_check"):
        postgres_home.unguarded("UPDATE release_versions SET config = '{}'")


def test_a_dropped_trigger_is_named(filled: Home) -> None:
    name = {"sqlite": "release_versions_no_update", "postgresql": "release_append_only"}
    on = {"sqlite": "", "postgresql": " ON release_versions"}
    filled.raw(f"DROP TRIGGER {name[filled.kind]}{on[filled.kind]}")

    assert found(filled) == [
        f"trigger release_versions.{name[filled.kind]}: "
        "is missing, switched off or changed; its owner can mend it"
    ]


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE release_versions DISABLE TRIGGER release_append_only",
        "ALTER TABLE release_versions ENABLE TRIGGER release_append_only",
        "CREATE OR REPLACE TRIGGER release_append_only BEFORE DELETE ON release_versions "
        "FOR EACH STATEMENT EXECUTE FUNCTION release_append_only()",
    ],
    ids=["disabled", "not always", "for less"],
)
def test_a_weakened_trigger_is_named(postgres_home: PostgresHome, statement: str) -> None:
    postgres_home.raw(statement)

    assert [problem.place for problem in verified(postgres_home).problems] == [
        "trigger release_versions.release_append_only"
    ]


def test_a_trigger_whose_body_was_emptied_is_named(filled: Home) -> None:
    match filled.kind:
        case "sqlite":
            filled.raw(
                "DROP TRIGGER release_audit_no_delete",
                "CREATE TRIGGER release_audit_no_delete BEFORE DELETE ON release_audit "
                "BEGIN SELECT 1; END",
            )
        case "postgresql":
            filled.raw(
                "CREATE OR REPLACE FUNCTION release_check_entry() RETURNS trigger "
                "LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
            )

    assert len(found(filled)) == 1


def test_the_audit_is_asked_by_actor_field_time_and_environment(home: Home) -> None:
    fill(home)
    with home.open(person="maria") as store:
        second = save(store, role="b", goal="g")
    with home.open() as store:
        deploy(store, 2, environment="staging")
        with store.snapshot() as work:
            asked = {
                "actor": entries(work, actor="ben"),
                "field": entries(work, agent="support", field="goal"),
                "since": entries(work, since=second.stamp.at),
                "environment": entries(work, agent="support", environment="staging"),
                "another agent": entries(work, agent="billing"),
            }
            actions = {name: [e.action for e in answer] for name, answer in asked.items()}

    assert actions == {
        "actor": ["approve", "activate", "confirm"],
        "field": ["save"],
        "since": ["save", "activate", "confirm"],
        "environment": ["save", "save", "activate", "confirm"],
        "another agent": ["save", "activate", "confirm"],
    }
