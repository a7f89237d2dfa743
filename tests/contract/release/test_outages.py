"""A release store that is away, busy or damaged says so in our words, and what to do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from dev.ports import free_port
from retunable.errors import ReleaseStoreError
from retunable.release.store import database, versions
from retunable.release.store.release_store import open_release_store
from tests.contract.release.steps import save

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.release.homes import PostgresHome, SqliteHome


@pytest.mark.postgresql
def test_a_server_that_is_away_is_named_without_its_password() -> None:
    url = f"postgresql://maria:secret@127.0.0.1:{free_port()}/releases"

    with pytest.raises(ReleaseStoreError, match="cannot be reached") as caught:
        open_release_store(url)
    assert "secret" not in str(caught.value)


@pytest.mark.postgresql
def test_a_connection_lost_inside_a_transaction_says_to_look(postgres_home: PostgresHome) -> None:
    def interrupted() -> None:
        with store.transaction() as work:
            work.driver_connection.execute("SELECT 1")
            postgres_home.raw(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            versions.agents(work)

    with postgres_home.open() as store:
        with pytest.raises(ReleaseStoreError, match="retune audit"):
            interrupted()
        assert save(store, role="a").number == 1


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "releases.db"
    file.write_text("this is no database, and long enough to be read as one" * 40)

    with pytest.raises(ReleaseStoreError, match="not a database"):
        open_release_store(f"sqlite:///{file}")


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseStoreError, match="unable to open"):
        open_release_store(f"sqlite:///{tmp_path}")


def test_a_reader_is_not_held_up_by_a_writer(sqlite_home: SqliteHome) -> None:
    with (
        sqlite_home.open() as store,
        store.transaction(),
        sqlite_home.open() as other,
        other.snapshot() as work,
    ):
        assert versions.agents(work) == {}


def test_the_file_survives_a_writer_that_never_committed(sqlite_home: SqliteHome) -> None:
    with closing(sqlite3.connect(sqlite_home.file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
    with sqlite_home.open() as store:
        assert save(store, role="a").number == 1


def test_a_writer_gives_up_in_time_and_says_that_nothing_was_written(
    sqlite_home: SqliteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0)
    with sqlite_home.open() as store, sqlite_home.open() as other, other.transaction():
        with pytest.raises(ReleaseStoreError, match="being written by somebody else"):
            save(store, role="a")
        with store.snapshot() as work:
            assert versions.agents(work) == {}
