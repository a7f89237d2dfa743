"""The PostgreSQL of the tests."""

from __future__ import annotations

from pathlib import Path
from subprocess import CalledProcessError

import psutil
import pytest

from dev.postgres import PostgresServer
from dev.processes import is_alive
from dev.stack import DOCUMENTED_TABLE


def test_a_killed_postgresql_comes_back_on_its_port_with_its_data(
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.url
    postgres_server.execute("CREATE TABLE fact AS SELECT 42 AS value")
    postgres_server.kill()
    postgres_server.start()
    assert postgres_server.url == url
    assert postgres_server.execute("SELECT value FROM fact") == [(42,)]


def test_kill_leaves_no_child_of_the_postmaster(postgres_server: PostgresServer) -> None:
    children = psutil.Process(postgres_server.process.pid).children(recursive=True)
    assert children
    postgres_server.kill()
    assert not [child for child in children if is_alive(child)]


def test_restart_ends_connections_and_keeps_data(postgres_server: PostgresServer) -> None:
    postgres_server.execute("CREATE TABLE fact AS SELECT 1 AS value")
    postgres_server.restart()
    assert postgres_server.execute("SELECT count(*) FROM fact") == [(1,)]


def test_it_never_runs_as_root(postgres_server: PostgresServer) -> None:
    assert psutil.Process(postgres_server.process.pid).uids().effective != 0


def test_its_settings_can_be_extended(tmp_path: Path, postgres_program: Path) -> None:
    with PostgresServer(tmp_path, settings=["max_connections = 7"]) as server:
        assert server.execute("SHOW max_connections") == [("7",)]


def test_a_script_runs_through_psql(postgres_server: PostgresServer) -> None:
    postgres_server.run_script(DOCUMENTED_TABLE)
    assert postgres_server.execute("SELECT count(*) FROM configuration") == [(0,)]


def test_a_script_ends_at_its_first_error(tmp_path: Path, postgres_server: PostgresServer) -> None:
    script = tmp_path / "script.sql"
    script.write_text("SELECT 1/0; CREATE TABLE later ();")
    with pytest.raises(CalledProcessError):
        postgres_server.run_script(script)
    assert postgres_server.execute("SELECT to_regclass('later')") == [(None,)]
