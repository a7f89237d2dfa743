"""sql/roles.sql on a real PostgreSQL: each role can do its part and nothing else, and owns nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors

from retunable.errors import ReleaseStoreError
from retunable.events.event import Heartbeat
from retunable.release.store import approvals, deployments, observations, policies, replicas
from retunable.release.store.approvals import Approved
from retunable.release.store.release_store import open_release_store, set_up
from retunable.release.store.verifying import verify
from tests.contract.release.homes import SQL
from tests.contract.release.steps import OBSERVED, begin, deploy, save

if TYPE_CHECKING:
    from tests.contract.release.homes import PostgresHome

BEAT = Heartbeat(
    event_id="7b9c1f0e-6a1e-4f3b-9a57-0d1f5f6f2b12",
    agent="support",
    environment="production",
    replica="host:1",
    at_ms=1,
    interval_ms=60_000,
    revision=1,
    status="ready",
)
pytestmark = pytest.mark.postgresql

ROLES = ("agent", "author", "publisher", "auditor", "control")


@pytest.fixture
def urls(postgres_home: PostgresHome) -> dict[str, str]:
    """One login for each role."""
    return {role: postgres_home.login(f"one_{role}", f"retunable_{role}") for role in ROLES}


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_no_role_owns_anything(postgres_home: PostgresHome, urls: dict[str, str]) -> None:
    owned = postgres_home.raw(
        r"""SELECT rolname, classid::regclass, objid FROM pg_shdepend
        JOIN pg_roles ON pg_roles.oid = refobjid
        WHERE deptype = 'o' AND (rolname LIKE 'retunable\_%' OR rolname LIKE 'one\_%')"""
    )

    assert owned == []


def test_an_author_saves_and_approves(urls: dict[str, str], postgres_home: PostgresHome) -> None:
    with postgres_home.open() as store:
        save(store, role="a")
    with open_release_store(urls["author"]) as store:
        saved = save(store, role="b")
        with store.transaction() as work:
            approved = approvals.approve(work, "support", 1, environment="production", reason="")
        with store.snapshot() as work:
            assert verify(work).problems == ()

    assert saved.stamp.actor == "one_author"
    assert isinstance(approved, Approved)


def test_a_publisher_deploys(urls: dict[str, str], postgres_home: PostgresHome) -> None:
    with postgres_home.open() as store:
        save(store, role="a")
    with open_release_store(urls["publisher"]) as store:
        assert deploy(store, 1).stamp.actor == "one_publisher"
        assert store.identity() is not None
    run(urls["publisher"], "INSERT INTO configuration (key, value) VALUES ('agent_role', 'x')")


def test_an_auditor_reads_everything(urls: dict[str, str], postgres_home: PostgresHome) -> None:
    with postgres_home.open() as store:
        save(store, role="a")
    with open_release_store(urls["auditor"]) as store, store.snapshot() as work:
        assert verify(work).head.sequence == 1
    run(urls["auditor"], "SELECT * FROM configuration_audit")


def test_an_agent_reads_configuration_alone(urls: dict[str, str]) -> None:
    assert run(urls["agent"], "SELECT * FROM configuration") == []
    for table in ("release_versions", "release_audit", "configuration_audit"):
        with pytest.raises(errors.InsufficientPrivilege):
            run(urls["agent"], f"SELECT * FROM {table}")  # noqa: S608


@pytest.mark.parametrize("role", ["publisher", "auditor"])
def test_who_is_no_author_saves_nothing(urls: dict[str, str], role: str) -> None:
    with open_release_store(urls[role]) as store, pytest.raises(ReleaseStoreError, match="refuses"):
        save(store, role="a")


@pytest.mark.parametrize("role", ["author", "auditor"])
def test_who_is_no_publisher_deploys_nothing(
    urls: dict[str, str], postgres_home: PostgresHome, role: str
) -> None:
    with postgres_home.open() as store:
        save(store, role="a")
    with open_release_store(urls[role]) as store:
        with pytest.raises(ReleaseStoreError, match="log in with a role"):
            deploy(store, 1)
        with store.snapshot() as work:
            assert deployments.deployments(work, "support", environment="production") == ()


@pytest.mark.parametrize("role", ["author", "publisher", "auditor"])
def test_policies_are_the_owners_to_write(urls: dict[str, str], role: str) -> None:
    def lift() -> None:
        with store.transaction() as work:
            policies.set_policy(work, "support", environment="production", reason="")

    with open_release_store(urls[role]) as store, pytest.raises(ReleaseStoreError, match="refuses"):
        lift()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE release_audit DISABLE TRIGGER ALL",
        "DROP TABLE release_audit CASCADE",
        "UPDATE release_audit SET reason = ''",
        "DELETE FROM release_versions",
        "TRUNCATE release_versions CASCADE",
        "SET session_replication_role = replica",
        "CREATE TABLE release_other (a int)",
        "SET SESSION AUTHORIZATION postgres",
    ],
)
def test_no_role_gets_around_the_guards(urls: dict[str, str], statement: str) -> None:
    for url in urls.values():
        with pytest.raises((errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState)):
            run(url, statement)


FORGED = """INSERT INTO release_audit SELECT sequence + 1, {at}, {actor}, claimed, action, agent,
    environment, version, old_version, checksum, 'forged', data, {previous}, repeat('a', 64)
    FROM release_audit ORDER BY sequence DESC LIMIT 1"""
TRUE = {"at": "clock_timestamp()", "actor": "session_user", "previous": "hash"}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"actor": "'maria'"}, "actor must be one_author, who is logged in, got maria"),
        ({"at": "now() - interval '1 day'"}, "at must be the time of this transaction"),
        ({"previous": "repeat('0', 64)"}, "entry 2 does not follow entry 1"),
    ],
    ids=["actor", "time", "place"],
)
def test_an_author_forges_no_entry(urls: dict[str, str], part: dict[str, str], said: str) -> None:
    with open_release_store(urls["author"]) as store:
        save(store, role="a")

    with pytest.raises(psycopg.Error, match=said):
        run(urls["author"], FORGED.format(**(TRUE | part)))


def test_an_entry_written_by_hand_is_found(
    urls: dict[str, str], postgres_home: PostgresHome
) -> None:
    with open_release_store(urls["author"]) as store:
        save(store, role="a")
    run(urls["author"], FORGED.format(**TRUE))

    with postgres_home.open() as store, store.snapshot() as work:
        assert [problem.place for problem in verify(work).problems] == ["audit entry 2"]


def test_a_control_process_takes_events_and_ends_publications(
    urls: dict[str, str], postgres_home: PostgresHome
) -> None:
    with postgres_home.open() as store:
        save(store, role="a")
        begin(store, 1)
    with open_release_store(urls["control"]) as store, store.transaction() as work:
        replicas.take(work, [BEAT])
        replicas.take(work, [replace(BEAT, at_ms=2)])
        replicas.forget_silent(work)
        assert observations.record(work, OBSERVED)
        [pending] = deployments.all_pending(work)
        assert deployments.confirm(work, pending).state == "confirmed"
    with open_release_store(urls["publisher"]) as store, store.snapshot() as work:
        assert len(replicas.live_replicas(work, "support", environment="production")) == 1
    with (
        open_release_store(urls["control"]) as store,
        pytest.raises(ReleaseStoreError, match="permission denied"),
    ):
        save(store, role="b")


def test_set_role_does_not_change_who_acts(
    urls: dict[str, str], postgres_home: PostgresHome
) -> None:
    """The actor is who logged in, whatever role they took on afterwards."""
    url = urls["author"] + "?options=-crole%3Dretunable_author"
    with open_release_store(url) as store:
        assert save(store, role="a").stamp.actor == "one_author"


def test_the_roles_may_be_applied_again(postgres_home: PostgresHome, urls: dict[str, str]) -> None:
    postgres_home.raw((SQL / "roles.sql").read_text())
    postgres_home.raw((SQL / "roles.sql").read_text())


def test_who_may_not_create_tables_sets_nothing_up(
    urls: dict[str, str], empty_postgres: PostgresHome
) -> None:
    with pytest.raises(ReleaseStoreError, match="permission denied"):
        set_up(empty_postgres.server.url_of(empty_postgres.database, user="one_author"))
