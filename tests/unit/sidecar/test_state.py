"""State on a plain connection: etags, first-write, expiry."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from retunable.sidecar.connection import connect
from retunable.sidecar.state import (
    SCHEMA,
    Delete,
    EtagMismatch,
    Save,
    Stored,
    apply_all,
    apply_each,
    delete_expired,
    read_state,
)

NOW = 1_000.0


class Store:
    """One store of one file at a moment that the test sets."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.now = NOW

    def get(self, key: str, store: str = "s") -> Stored | None:
        return read_state(self.connection, store, [key], now=self.now).get(key)

    def apply(self, *writings: Save | Delete) -> int:
        return apply_each(self.connection, "s", writings, now=self.now)

    def etag(self, key: str) -> str:
        stored = self.get(key)
        assert stored is not None
        return stored.etag


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    connection = connect(tmp_path / "state.db", [SCHEMA])
    yield Store(connection)
    connection.close()


def test_bytes_come_back_as_they_were(store: Store) -> None:
    store.apply(Save(key="k", value=b"\xff\x00 text"), Save(key="empty", value=b""))
    assert (store.get("k") or Stored(b"", "", None)).value == b"\xff\x00 text"
    assert (store.get("empty") or Stored(b"x", "", None)).value == b""


def test_every_writing_has_an_etag_of_its_own_also_after_a_delete(store: Store) -> None:
    etags = []
    for _ in range(2):
        store.apply(Save(key="k", value=b"1"))
        etags.append(store.etag("k"))
        store.apply(Delete(key="k"))
    assert len(set(etags)) == 2


def test_a_save_with_the_etag_that_stands_replaces(store: Store) -> None:
    store.apply(Save(key="k", value=b"1"))
    assert store.apply(Save(key="k", value=b"2", etag=store.etag("k"))) == 0


@pytest.mark.parametrize("key", ["k", "absent"])
def test_a_save_with_another_etag_changes_nothing(store: Store, key: str) -> None:
    store.apply(Save(key="k", value=b"1"))
    was = store.get(key)
    assert store.apply(Save(key=key, value=b"2", etag="other")) == 1
    assert store.get(key) == was


def test_a_first_write_is_for_an_absent_key(store: Store) -> None:
    assert store.apply(Save(key="k", value=b"1", first_write=True)) == 0
    assert store.apply(Save(key="k", value=b"2", first_write=True)) == 1
    store.apply(Delete(key="k"))
    assert store.apply(Save(key="k", value=b"3", first_write=True)) == 0


def test_a_delete_keeps_to_its_etag(store: Store) -> None:
    store.apply(Save(key="k", value=b"1"))
    assert store.apply(Delete(key="k", etag="other"), Delete(key="absent", etag="other")) == 2
    assert store.apply(Delete(key="k", etag=store.etag("k")), Delete(key="absent")) == 0
    assert store.get("k") is None


def test_of_several_writings_the_others_are_done(store: Store) -> None:
    met = store.apply(
        Save(key="a", value=b"1"), Save(key="b", value=b"1", etag="x"), Save(key="c", value=b"1")
    )
    assert met == 1
    assert store.get("a") is not None
    assert store.get("c") is not None


def test_a_transaction_that_meets_another_etag_raises(store: Store) -> None:
    writings: list[Save | Delete] = [Save(key="a", value=b"1"), Delete(key="b", etag="x")]
    with pytest.raises(EtagMismatch):
        apply_all(store.connection, "s", writings, now=NOW)


def test_an_expired_value_is_absent_for_every_call(store: Store) -> None:
    store.apply(Save(key="k", value=b"1", expires_at=NOW + 10))
    etag = store.etag("k")
    store.now = NOW + 10
    assert store.get("k") is None
    assert store.apply(Save(key="k", value=b"2", etag=etag), Delete(key="k", etag=etag)) == 2
    assert store.apply(Save(key="k", value=b"3", first_write=True)) == 0
    assert store.get("k") is not None


def test_a_value_that_is_saved_anew_lives_on(store: Store) -> None:
    store.apply(Save(key="k", value=b"1", expires_at=NOW + 10), Save(key="k", value=b"2"))
    store.now = NOW + 10
    assert store.get("k") is not None


def test_what_expired_is_deleted_and_nothing_else(store: Store) -> None:
    for number in range(5):
        store.apply(Save(key=f"k{number}", value=b"1", expires_at=NOW + number))
    store.apply(Save(key="kept", value=b"1"))
    assert delete_expired(store.connection, now=NOW + 2) == 3
    assert delete_expired(store.connection, now=NOW + 2) == 0


def test_stores_of_one_file_do_not_see_each_other(store: Store) -> None:
    store.apply(Save(key="k", value=b"1"))
    assert store.get("k", store="other") is None
