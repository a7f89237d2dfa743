"""The configuration file as `retune` writes it and a person with the sqlite3 shell."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from retunable.config.items import Item, Unreadable
from retunable.errors import DatabaseUnavailable
from retunable.sidecar.configuration import ConfigurationFile, changed_items


@pytest.fixture
def store(tmp_path: Path) -> ConfigurationFile:
    return ConfigurationFile(tmp_path / "configuration.db")


def test_what_is_set_is_read_and_what_is_deleted_is_absent(store: ConfigurationFile) -> None:
    assert store.write({"role": "é ☃ a||b", "goal": ""}) == ()
    assert store.read(["role", "goal", "no"]) == {
        "role": Item("é ☃ a||b", "1"),
        "goal": Item("", "2"),
    }
    store.write({"role": None, "never": None})
    assert set(store.read([])) == {"goal"}


def test_a_version_counts_up_for_ever(store: ConfigurationFile) -> None:
    seen = []
    for value in ("a", "a", None, "b"):
        store.write({"role": value})
        seen += [int(item.version) for item in store.read([]).values() if isinstance(item, Item)]
    assert seen == sorted(set(seen))
    assert len(seen) == 3


def test_stores_of_one_file_do_not_see_each_other(store: ConfigurationFile) -> None:
    other = ConfigurationFile(store.path, store="other")
    store.write({"role": "a"})
    assert other.read(["role"]) == {}


def test_a_write_over_something_unexpected_changes_nothing(store: ConfigurationFile) -> None:
    store.write({"a": "1", "b": "1"})
    was = store.read([])
    store.write({"b": "2"})
    expect = {"a": was["a"], "b": was["b"], "c": None}
    assert store.write({"a": "3", "c": "3"}, expect=expect) == ("b",)
    assert {k: i.value for k, i in store.read([]).items() if isinstance(i, Item)} == {
        "a": "1",
        "b": "2",
    }


def test_a_write_over_what_is_expected_lands_whole(store: ConfigurationFile) -> None:
    store.write({"a": "1"})
    assert store.write({"a": "2", "b": "2"}, expect={**store.read(["a"]), "b": None}) == ()
    assert set(store.read([])) == {"a", "b"}


def test_a_write_by_hand_counts_too(store: ConfigurationFile) -> None:
    store.write({"a": "1"})
    with sqlite3.connect(store.path) as shell:
        shell.execute("UPDATE configuration SET value = '2' WHERE key = 'a'")
    shell.close()
    assert store.read(["a"]) == {"a": Item("2", "2")}


def test_a_value_that_is_no_text_spoils_only_itself(store: ConfigurationFile) -> None:
    store.write({"a": "1", "b": "1"})
    with sqlite3.connect(store.path) as shell:
        shell.execute("UPDATE configuration SET value = CAST(x'ff' AS TEXT) WHERE key = 'a'")
    shell.close()
    found = store.read([])
    assert isinstance(found["a"], Unreadable)
    assert found["b"] == Item("1", "2")


def test_a_locked_file_is_waited_for_and_then_named(tmp_path: Path) -> None:
    store = ConfigurationFile(tmp_path / "configuration.db", patience_seconds=0.1)
    store.write({"a": "1"})
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable) as refused:
        store.write({"a": "2"})
    assert refused.value.reason == "busy"
    assert store.read(["a"]) == {"a": Item("1", "1")}
    other.close()


def test_a_file_with_a_broken_page_is_named(store: ConfigurationFile) -> None:
    store.write({"role": "a"})
    with closing(sqlite3.connect(store.path)) as shell:
        (size,) = shell.execute("PRAGMA page_size").fetchone()
        root = "SELECT rootpage FROM sqlite_schema WHERE name = 'configuration'"
        (page,) = shell.execute(root).fetchone()
    with store.path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)

    with pytest.raises(DatabaseUnavailable, match="move it away") as refused:
        store.read(["role"])
    assert refused.value.reason == "broken"


def test_changes_are_what_was_set_changed_or_deleted(store: ConfigurationFile) -> None:
    store.write({"same": "1", "changed": "1", "deleted": "1"})
    before = store.read([])
    store.write({"changed": "2", "deleted": None, "set": "2"})
    changes = changed_items(before, store.read([]))
    values = {k: i.value if isinstance(i, Item) else i for k, i in changes.items()}
    assert values == {"changed": "2", "deleted": None, "set": "2"}
    assert changed_items(before, before) == {}


def test_a_new_value_is_a_change_also_where_a_new_file_counts_from_the_start() -> None:
    assert changed_items({"role": Item("a", "1")}, {"role": Item("b", "1")}) == {
        "role": Item("b", "1")
    }


def test_an_empty_value_is_nothing_to_whoever_expects_nothing(store: ConfigurationFile) -> None:
    store.write({"agent_role": ""})
    assert store.write({"agent_role": "x"}, expect={"agent_role": None}) == ()


def test_what_stands_decides_what_is_written(store: ConfigurationFile) -> None:
    store.write({"agent_role": "x", "agent_goal": ""})
    told = store.decide(
        ["agent_role", "agent_goal"], lambda items: (sorted(items), {"agent_role": None})
    )
    assert (told, "agent_role" in store.read([])) == (["agent_role"], False)
