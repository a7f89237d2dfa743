"""The chain of audit entries: every change, gap and exchange breaks it at its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from retunable.release.store.chain import GENESIS, Broken, Head, entry_hash, follow
from retunable.release.store.records import Entry, Stamp

AT = datetime(2026, 3, 1, 12, 30, 5, 123456, tzinfo=UTC)


def chain(length: int) -> list[Entry]:
    entries: list[Entry] = []
    for sequence in range(1, length + 1):
        entry = Entry(
            stamp=Stamp(sequence=sequence, at=AT, actor="maria", claimed=None, reason="naïve 🦜"),
            action="save",
            agent="support",
            environment=None,
            version=sequence,
            old_version=None,
            checksum="1:sha256:ab",
            data={"fields": ["role"], "number": 1.0},
            previous=entries[-1].hash if entries else GENESIS,
            hash="",
        )
        entries.append(replace(entry, hash=entry_hash(entry)))
    return entries


def test_a_whole_chain_gives_its_newest_entry() -> None:
    entries = chain(3)

    assert follow(entries) == Head(3, entries[-1].hash)
    assert follow([]) == Head(0, GENESIS)


def test_the_hash_of_an_entry_is_compatibility_data() -> None:
    (entry,) = chain(1)

    assert entry.hash == "375e78ef4d0bb5871f05777a9187ba8818c20f2376f3c901584c90f133e93b46"


def test_the_hash_does_not_depend_on_how_the_time_is_written() -> None:
    (entry,) = chain(1)
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))

    assert entry_hash(replace(entry, stamp=replace(entry.stamp, at=elsewhere))) == entry.hash


CHANGES: dict[str, Any] = {
    "action": "activate",
    "agent": "sales",
    "environment": "production",
    "version": 9,
    "old_version": 1,
    "checksum": None,
    "data": {"fields": []},
}
STAMPS: dict[str, Any] = {
    "at": AT + timedelta(microseconds=1),
    "actor": "eve",
    "claimed": "eve",
    "reason": "naive",
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_is_covered(name: str) -> None:
    entries = chain(3)
    entries[1] = replace(entries[1], **{name: CHANGES[name]})

    assert follow(entries) == Broken(2, "was changed: its hash does not fit what it says")


@pytest.mark.parametrize("name", STAMPS)
def test_who_when_and_why_are_covered(name: str) -> None:
    entries = chain(3)
    entries[1] = replace(entries[1], stamp=replace(entries[1].stamp, **{name: STAMPS[name]}))

    assert follow(entries) == Broken(2, "was changed: its hash does not fit what it says")


def test_a_missing_entry_is_found() -> None:
    first, _, third = chain(3)

    assert follow([first, third]) == Broken(2, "is missing; the next entry is 3")


def test_an_entry_hashed_anew_breaks_the_next_one() -> None:
    first, second, third = chain(3)
    forged = replace(second, agent="sales")
    forged = replace(forged, hash=entry_hash(forged))

    assert follow([first, forged, third]) == Broken(
        3, "does not name the hash of the entry before it"
    )
