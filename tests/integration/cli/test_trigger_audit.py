"""On PostgreSQL `retune audit` tells what the table's trigger wrote down: every change, each once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dev.postgres import PostgresServer
from retunable.release.store.release_store import set_up
from tests.integration.cli.conftest import Retune

pytestmark = pytest.mark.postgresql

VERSION = {"role": "Saved", "provider": "offline", "model": "offline", "tools": []}


@pytest.fixture(params=["two databases", "one database"])
def releases(request: pytest.FixtureRequest, our_postgres: PostgresServer, tmp_path: Path) -> str:
    """The URL of the release store: a file beside the table, or the table's own database."""
    if request.param == "two databases":
        return f"sqlite:///{tmp_path / 'releases.db'}"
    set_up(our_postgres.url)
    return our_postgres.url


def write(server: PostgresServer, key: str, value: str) -> None:
    """Write as a person with psql does."""
    server.execute(
        "INSERT INTO configuration (key, value, version) VALUES (%s, %s, '1')"
        " ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value",
        (key, value),
    )


def activated(retune: Retune, places: list[str], tmp_path: Path, number: int) -> None:
    file = tmp_path / "version.json"
    file.write_text(json.dumps({**VERSION, "goal": f"Goal {number}"}))
    releases = places[2:]
    assert retune("save", "support", str(file), "-m", "w", *releases).code == 0
    done = retune("activate", "support", str(number), "-m", "w", *places)
    assert done.code == 0, done.err


def told(retune: Retune, places: list[str], *words: str) -> list[dict[str, Any]]:
    ended = retune("audit", "support", "--json", *words, *places)
    assert ended.code == 0, ended.err
    rows: list[dict[str, Any]] = ended.json["direct_writes"]
    return rows


def test_every_change_is_told_and_ours_are_known(
    retune: Retune, our_postgres: PostgresServer, releases: str, tmp_path: Path
) -> None:
    places = ["--store", our_postgres.url, "--releases", releases]
    write(our_postgres, "agent_role", "By hand")
    activated(retune, places, tmp_path, 1)
    write(our_postgres, "agent_role", "Again")
    write(our_postgres, "agent_role", "Again")
    write(our_postgres, "b/agent_role", "Somebody else's agent")
    activated(retune, places, tmp_path, 2)

    rows = told(retune, places)
    seen = [(row["operation"], row["key"], row["entry"] is not None) for row in rows]
    assert sorted(seen[1:3]) == [("DELETE", "agent_role", True), ("INSERT", "support", True)]
    assert seen[:1] + seen[3:5] == [
        ("INSERT", "agent_role", False),
        ("INSERT", "agent_role", False),
        ("UPDATE", "agent_role", False),
    ]
    assert sorted(seen[5:]) == [("DELETE", "agent_role", True), ("UPDATE", "support", True)]
    assert rows[0]["new"] == "By hand"

    lines = retune("audit", "support", *places).out.splitlines()
    assert len([line for line in lines if "written directly" in line]) == 3
    assert [row["key"] for row in told(retune, places, "--field", "goal")] == []
    assert len(told(retune, places, "--actor", rows[0]["actor"])) == len(rows)
    assert told(retune, places, "--actor", "nobody") == []


def test_who_repeats_by_hand_what_a_command_did_is_told_all_the_same(
    retune: Retune, our_postgres: PostgresServer, releases: str, tmp_path: Path
) -> None:
    places = ["--store", our_postgres.url, "--releases", releases]
    write(our_postgres, "agent_role", "By hand")
    activated(retune, places, tmp_path, 1)
    write(our_postgres, "agent_role", "By hand")
    our_postgres.execute("DELETE FROM configuration WHERE key = 'agent_role'")

    deleted = [row for row in told(retune, places) if row["operation"] == "DELETE"]
    assert [row["entry"] is not None for row in deleted] == [True, False]


def test_a_table_without_our_trigger_is_said(
    retune: Retune, documented_postgres: PostgresServer
) -> None:
    ended = retune("audit", "support", "--store", documented_postgres.url)

    assert ended.code == 0
    assert "no audit trigger of ours" in ended.err


def test_a_store_that_is_away_is_said(retune: Retune) -> None:
    ended = retune("audit", "support", "--store", "postgresql://nobody@127.0.0.1:1/none")

    assert ended.code == 0
    assert "direct writes are not shown" in ended.err
