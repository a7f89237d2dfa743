"""Times, statements and messages of the release store, where no database is needed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

import retunable.release.store
from retunable.errors import ConfigurationError, ReleaseStoreError
from retunable.release.store.moments import BEGINNING, END, moment, sqlite_text, stamp
from retunable.release.store.points import Point
from retunable.release.store.queries import queries
from retunable.release.store.release_store import open_release_store
from retunable.release.store.version_data import VersionData, stored_config
from retunable.release.store.versions import Draft

ROOM = Path(retunable.release.store.__file__).parent


def test_sqlite_times_are_ordered_as_text() -> None:
    times = [BEGINNING, datetime(2026, 1, 2, 3, 4, 5, 6_999, tzinfo=UTC), END]
    texts = [sqlite_text(time) for time in times]

    assert texts == sorted(texts)
    assert texts[1] == "2026-01-02T03:04:05.006Z"
    assert {len(text) for text in texts} == {24}


def test_a_time_is_utc_whatever_a_database_gives() -> None:
    there = datetime(2026, 1, 2, 5, tzinfo=timezone(timedelta(hours=2)))

    assert moment(there).isoformat() == "2026-01-02T03:00:00+00:00"
    assert moment("2026-01-02T03:00:00.000Z") == moment(there)
    assert stamp(there) == "2026-01-02T03:00:00.000000Z"


def test_both_databases_have_the_same_statements_but_for_the_servers_own() -> None:
    assert set(queries("postgresql")) - set(queries("sqlite")) == {"lock", "identity"}
    assert set(queries("sqlite")) - set(queries("postgresql")) == set()


def test_every_statement_is_used() -> None:
    code = "\n".join(file.read_text(encoding="utf-8") for file in ROOM.glob("*.py"))
    unused = {
        name
        for name in queries("postgresql")
        if f'"{name}"' not in code and not name.startswith("detail_of_")
    }

    assert unused == set()


def test_no_module_but_the_adapters_says_sql() -> None:
    """A statement belongs in queries.sql, by name."""
    verbs = re.compile(r'"(SELECT|INSERT|UPDATE|DELETE) ')
    found = [file.name for file in ROOM.glob("*.py") if verbs.search(file.read_text())]

    assert found == []


def test_the_points_are_named_in_their_order() -> None:
    assert [str(point) for point in Point] == [
        "locked",
        "recorded",
        "pending",
        "published",
        "settling",
        "settled",
    ]


@pytest.mark.parametrize("url", ["redis://localhost", "mysql://x", "releases.db"])
def test_another_kind_of_url_is_refused_with_the_two_that_work(url: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://"):
        open_release_store(url)


def test_a_newer_schema_is_named_and_not_guessed_at() -> None:
    data = VersionData(
        2, "1:sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", b"{}"
    )

    with pytest.raises(ReleaseStoreError, match="has schema 2, this package knows 1"):
        stored_config(data, place="version 4 of support")


def test_a_draft_is_a_value() -> None:
    assert Draft(agent="a", config={}, reason="r") == Draft(agent="a", config={}, reason="r")
