"""What a policy keeps back is kept back by the database itself, from psql and the sqlite3 shell too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from retunable.release.store import approvals, policies
from tests.contract.release.steps import deploy, save

if TYPE_CHECKING:
    from tests.contract.release.homes import Home

NOW = {"sqlite": "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", "postgresql": "clock_timestamp()"}


def entry(home: Home, action: str, data: str = "{}") -> str:
    """The next audit entry, written by the owner's own hand."""
    return f"""INSERT INTO release_audit SELECT sequence + 1, {NOW[home.kind]}, '{home.owner}', NULL,
        '{action}', 'support', 'production', 1, NULL, NULL, 'by hand', '{data}', hash,
        '{"a" * 64}' FROM release_audit ORDER BY sequence DESC LIMIT 1"""  # noqa: S608


def activation(environment: str = "production", checksum: str = "checksum") -> str:
    """A deployment of version 1 as a row; ``checksum`` is an expression."""
    return f"""INSERT INTO release_deployments
        SELECT (SELECT max(sequence) FROM release_audit), agent, '{environment}', 99, number,
        {checksum} FROM release_versions WHERE agent = 'support' AND number = 1"""  # noqa: S608


def approval(person: str, checksum: str = "checksum") -> str:
    """An approval of version 1 as a row."""
    return f"""INSERT INTO release_approvals
        SELECT (SELECT max(sequence) FROM release_audit), agent, 'production', number, {checksum},
        '{person}' FROM release_versions WHERE agent = 'support' AND number = 1"""  # noqa: S608


def with_canary(home: Home, checksum: str | None = None, **more: Any) -> str:
    """The entry of a deployment that gives version 2 to some users, beside version 1."""
    ((saved,),) = home.raw(
        "SELECT checksum FROM release_versions WHERE agent = 'support' AND number = 2"
    )
    canary = {"version": 2, "checksum": checksum or saved}
    parts = {"canary": canary, "rollout": {"id": "by hand"}}
    return entry(home, "canary", json.dumps({"parts": parts, **more}))


ROLLOUT = """INSERT INTO release_rollouts
    SELECT (SELECT max(sequence) FROM release_audit), 'by hand', agent, 'production', number, checksum
    FROM release_versions WHERE agent = 'support' AND number = 2"""


def ask_for(home: Home, people: int, environment: str = "production") -> None:
    with home.open() as store, store.transaction() as work:
        policies.set_policy(
            work, "support", environment=environment, reason="rule", require_approval=people
        )


def approve(home: Home, person: str, number: int = 1, environment: str = "production") -> None:
    with home.open(person=person) as store, store.transaction() as work:
        approvals.approve(work, "support", number, environment=environment, reason="")


def count(home: Home, table: str) -> int:
    ((found,),) = home.raw(f"SELECT count(*) FROM release_{table}")  # noqa: S608
    return int(found)


@pytest.fixture
def guarded(home: Home) -> Home:
    """Versions 1 and 2 of two agents are maria's; production asks for two people, staging for none."""
    with home.open(person="maria") as hers:
        for agent in ("support", "sales"):
            save(hers, agent, role="a")
            save(hers, agent, role="b")
    ask_for(home, 2)
    return home


def test_an_activation_by_hand_without_the_approvals_is_refused(guarded: Home) -> None:
    approve(guarded, "ben")

    with pytest.raises(guarded.refusals, match="approvals"):
        guarded.raw(entry(guarded, "activate"), activation())
    assert count(guarded, "deployments") == 0


def test_an_activation_by_hand_with_the_approvals_is_taken(guarded: Home) -> None:
    approve(guarded, "ben")
    approve(guarded, "chloe")
    guarded.raw(entry(guarded, "activate"), activation())

    assert count(guarded, "deployments") == 1


def test_the_approvals_of_another_version_agent_or_environment_do_not_count(guarded: Home) -> None:
    for person in ("ben", "chloe"):
        approve(guarded, person, 2)
        approve(guarded, person, 1, "staging")
        with guarded.open(person=person) as store, store.transaction() as work:
            approvals.approve(work, "sales", 1, environment="production", reason="")

    with pytest.raises(guarded.refusals, match="approvals"):
        guarded.raw(entry(guarded, "activate"), activation())
    guarded.raw(entry(guarded, "activate"), activation("staging"))
    assert count(guarded, "deployments") == 1


def test_the_newest_policy_holds(guarded: Home) -> None:
    ask_for(guarded, 0)
    guarded.raw(entry(guarded, "activate"), activation())

    assert count(guarded, "deployments") == 1


def test_a_deployment_with_the_checksum_of_something_else_is_refused(guarded: Home) -> None:
    with pytest.raises(guarded.refusals, match="checksum"):
        guarded.raw(entry(guarded, "activate"), activation("staging", "'1:sha256:00'"))


def test_a_rollback_by_hand_to_what_never_ran_there_is_refused(guarded: Home) -> None:
    with guarded.open() as store:
        deploy(store, 1, environment="staging")

    with pytest.raises(guarded.refusals, match="approvals"):
        guarded.raw(entry(guarded, "rollback"), activation())


def test_a_rollback_by_hand_to_what_ran_there_waits_for_nobody(guarded: Home) -> None:
    ask_for(guarded, 0)
    with guarded.open() as store:
        deploy(store, 1)
        deploy(store, 2)
    ask_for(guarded, 2)
    guarded.raw(entry(guarded, "rollback"), activation())

    with pytest.raises(guarded.refusals, match="approvals"):
        guarded.raw(entry(guarded, "activate"), activation().replace("99", "100"))


def test_the_author_approves_nothing_of_their_own_by_hand(home: Home) -> None:
    with home.open() as store:
        save(store, role="a")

    with pytest.raises(home.refusals, match="own"):
        home.raw(entry(home, "approve"), approval(home.owner))
    assert count(home, "approvals") == 0


def test_nobody_approves_by_hand_in_another_name(guarded: Home) -> None:
    with pytest.raises(guarded.refusals, match="entry"):
        guarded.raw(entry(guarded, "approve"), approval("ben"))


def test_nobody_approves_by_hand_beside_another_entry(guarded: Home) -> None:
    with pytest.raises(guarded.refusals, match="entry"):
        guarded.raw(entry(guarded, "activate"), approval(guarded.owner))


def test_nobody_approves_another_checksum_by_hand(guarded: Home) -> None:
    with pytest.raises(guarded.refusals, match="checksum"):
        guarded.raw(entry(guarded, "approve"), approval(guarded.owner, "'1:sha256:00'"))


def test_an_approval_by_hand_of_somebody_elses_version_is_taken(guarded: Home) -> None:
    guarded.raw(entry(guarded, "approve"), approval(guarded.owner))

    assert count(guarded, "approvals") == 1


@pytest.fixture
def active(guarded: Home) -> Home:
    """Version 1 of support has its approvals and is active in production; version 2 has none."""
    for person in ("ben", "chloe"):
        approve(guarded, person)
    with guarded.open() as store:
        deploy(store, 1)
    return guarded


def test_a_canary_by_hand_without_the_approvals_is_refused(active: Home) -> None:
    approve(active, "ben", 2)

    with pytest.raises(active.refusals, match="approvals"):
        active.raw(with_canary(active), activation())
    with pytest.raises(active.refusals, match="approvals"):
        active.raw(entry(active, "rollout"), ROLLOUT)
    assert (count(active, "deployments"), count(active, "rollouts")) == (1, 0)


def test_a_canary_by_hand_with_the_approvals_is_taken(active: Home) -> None:
    approve(active, "ben", 2)
    approve(active, "chloe", 2)
    active.raw(with_canary(active), activation())
    active.raw(entry(active, "rollout"), ROLLOUT)

    assert (count(active, "deployments"), count(active, "rollouts")) == (2, 1)


def test_a_canary_with_the_checksum_of_something_else_is_refused(active: Home) -> None:
    ask_for(active, 0)

    with pytest.raises(active.refusals, match="checksum"):
        active.raw(with_canary(active, "1:sha256:00"), activation())
    with pytest.raises(active.refusals, match="checksum"):
        active.raw(entry(active, "rollout"), ROLLOUT.replace("number, checksum", "number, ''"))


def test_a_canary_that_was_let_pass_is_carried_on_whoever_asks_for_more_since(active: Home) -> None:
    ask_for(active, 0)
    active.raw(with_canary(active), activation())
    ask_for(active, 2)
    active.raw(entry(active, "rollout"), ROLLOUT)
    active.raw(with_canary(active), activation().replace("99", "100"))

    assert (count(active, "deployments"), count(active, "rollouts")) == (3, 1)


def test_a_canary_whose_rollout_is_over_needs_its_approvals_again(active: Home) -> None:
    ask_for(active, 0)
    active.raw(with_canary(active), activation())
    active.raw(entry(active, "rollout"), ROLLOUT)
    active.raw(
        entry(active, "decide"),
        "INSERT INTO release_rollout_steps SELECT max(sequence), 'by hand', 'aborted', 0 "
        "FROM release_audit",
    )
    ask_for(active, 2)

    with pytest.raises(active.refusals, match="approvals"):
        active.raw(with_canary(active), activation().replace("99", "100"))


def test_an_override_that_no_database_has_a_character_for_keeps_no_canary_back(
    active: Home,
) -> None:
    ask_for(active, 0)
    overrides = {"agent_role": ["\0 \\u0000", "1"]}
    active.raw(with_canary(active, data={"overrides": overrides}), activation())

    assert count(active, "deployments") == 2
