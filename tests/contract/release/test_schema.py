"""The schema to read is the sum of the migrations; who sets it up, and when it is refused."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from retunable.errors import ReleaseStoreError
from retunable.release.store.database import connect
from retunable.release.store.migration import migrate
from retunable.release.store.moments import BEGINNING, END
from retunable.release.store.points import ignored
from retunable.release.store.queries import SCHEMA_REVISION, queries
from retunable.release.store.release_store import open_release_store
from retunable.release.store.verifying import verify
from tests.contract.release.catalogue import catalogue
from tests.contract.release.homes import SQL, Home, PostgresHome, SqliteHome

if TYPE_CHECKING:
    from pathlib import Path

    from dev.postgres import PostgresServer
    from retunable.release.store.release_store import ReleaseStore

TABLES = {
    "release_audit": "sequence at actor claimed action agent environment version old_version "
    "checksum reason data previous hash",
    "release_versions": "sequence id agent number parent source schema_number checksum config",
    "release_deployments": "sequence agent environment generation version checksum",
    "release_outcomes": "sequence deployment outcome",
    "release_approvals": "sequence agent environment version checksum approver",
    "release_policies": "sequence agent environment revision require_approval require_evaluation",
    "release_rollouts": "sequence id agent environment version checksum",
    "release_rollout_steps": "sequence rollout state stage",
    "release_run_events": "arrived event_id arrived_at kind agent environment rollout run user_hmac "
    "bucket arm cohort variant version checksum pinned started_ms state guardrail_failures limit_hit "
    "input_tokens output_tokens latency_ms cost rating tool_code",
    "release_rollout_checkpoints": "rollout arrived data",
    "release_run_counts": "agent environment rollout version variant started finished failed stopped "
    "guardrail_failures limit_hits input_tokens output_tokens latency_ms cost liked disliked",
}


def read_whole(home: Home) -> None:
    """Make the schema from the file in sql/release alone."""
    match home:
        case SqliteHome(file=file):
            with closing(sqlite3.connect(file)) as connection:
                connection.executescript((SQL / "release" / "sqlite.sql").read_text())
        case PostgresHome():
            home.raw((SQL / "release" / "postgresql.sql").read_text())


def squeezed(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Leave out how a statement was broken into lines."""
    return [tuple(_one_line(v) if isinstance(v, str) else v for v in row) for row in rows]


def _one_line(text: str) -> str:
    # SQLite keeps the text of CREATE TABLE, and puts ", column" right before its last bracket.
    return " ".join(text.split()).replace(" )", ")").replace(" ,", ",")


def test_the_schema_is_the_sum_of_the_migrations(empty: Home, another: Home) -> None:
    read_whole(empty)
    another.set_up()

    assert squeezed(catalogue(empty)) == squeezed(catalogue(another))


def test_a_store_made_from_the_file_is_ready(empty: Home) -> None:
    read_whole(empty)

    with empty.open() as store, store.snapshot() as work:
        assert verify(work).problems == ()


def test_names_of_tables_and_columns_are_compatibility_data(store: ReleaseStore) -> None:
    with store.snapshot() as work:
        found = {
            table: [*work.connection.exec_driver_sql(f"SELECT * FROM {table}").keys()]  # noqa: S608
            for table in TABLES
        }

    assert found == {table: columns.split() for table, columns in TABLES.items()}


def test_the_revision_is_the_newest_migration(home: Home) -> None:
    assert home.raw("SELECT version_num FROM release_schema") == [(SCHEMA_REVISION,)]


@pytest.mark.postgresql
def test_the_application_sets_up_nothing_on_postgresql(
    release_server: PostgresServer, postgres_home: PostgresHome
) -> None:
    nowhere = release_server.url_of("postgres")
    postgres_home.raw("SELECT 1")

    with pytest.raises(ReleaseStoreError, match="has no tables of ours"):
        open_release_store(nowhere)


def test_a_newer_schema_is_refused(home: Home) -> None:
    home.raw("UPDATE release_schema SET version_num = '0999'")

    with pytest.raises(ReleaseStoreError, match="has schema 0999"):
        home.open()


def test_every_statement_can_be_prepared(store: ReleaseStore) -> None:
    """A statement that no test runs is still one that the database understands."""
    with store.snapshot() as work:
        for name, text in queries(work.kind).items():
            if name.startswith(WRITING):
                continue
            named = {key: value for key, value in VALUES.items() if f":{key}" in text}
            work.rows(name, **named)


WRITING = ("insert", "add", "beat", "leave", "forget")
VALUES = {
    "id": None,
    "run": "r",
    "since": BEGINNING,
    "monday": BEGINNING,
    "until": END,
    "agent": "a",
    "environment": "e",
    "actor": None,
    "after": 0,
    "cohorts": 1,
    "up_to": 1,
    "users": "[]",
    "at_most": 1,
    "before": 1,
    "number": 1,
    "event_id": "i",
    "change": "c",
    "sequence": 1,
    "not_before_ms": 0,
    "not_after_ms": 0,
    "seen_at": BEGINNING,
    "long_past": BEGINNING,
    "replica": "r",
    "version": 1,
    "generation": 1,
}


def test_setting_up_again_changes_nothing(home: Home) -> None:
    before = catalogue(home)
    home.set_up()

    assert catalogue(home) == before


def test_many_processes_may_make_one_file(tmp_path: Path) -> None:
    """The first `retune save` of two people at once."""
    url = f"sqlite:///{tmp_path / 'new' / 'releases.db'}"
    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(lambda _: open_release_store(url), range(8)))
    with stores[0].snapshot() as work:
        assert verify(work).problems == ()
    for store in stores:
        store.close()


def test_a_file_that_another_process_is_making_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "releases.db"
    database = connect(f"sqlite:///{file}", reached=ignored)
    with (
        closing(sqlite3.connect(file, isolation_level=None)) as other,
        ThreadPoolExecutor() as pool,
    ):
        other.execute("BEGIN IMMEDIATE")
        making = pool.submit(migrate, database)
        wait([making], timeout=0.2)
        other.execute("COMMIT")

        making.result(timeout=60)
    database.engine.dispose()
