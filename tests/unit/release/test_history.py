"""Where a rollback goes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from retunable.release.store.history import rollback_target, was_active
from retunable.release.store.records import Deployment, Stamp

AT = datetime(2026, 3, 1, tzinfo=UTC)


def deployment(word: str, generation: int, revoked: tuple[int, ...] = ()) -> Deployment:
    """``3`` activates version 3, ``back 2`` rolls back to 2, ``-4`` was withdrawn, ``reset``."""
    action: Any = "rollback" if word.startswith("back") else "activate"
    state: Any = "withdrawn" if word.startswith("-") else "confirmed"
    number = None if word == "reset" else int(word.removeprefix("back ").removeprefix("-"))
    return Deployment(
        stamp=Stamp(sequence=generation, at=AT, actor="a", claimed=None, reason=""),
        action="reset" if number is None else action,
        agent="support",
        environment="production",
        generation=generation,
        version=number,
        checksum=None if number is None else f"checksum {number}",
        state=state,
        settled_at=AT,
        parts={"revoked": [f"checksum {number}" for number in revoked]},
        data={},
    )


def history(*words: str, revoked: tuple[int, ...] = ()) -> list[Deployment]:
    return [deployment(word, place, revoked) for place, word in enumerate(words, 1)]


TARGETS: dict[tuple[str, ...], int | None] = {
    (): None,
    ("1",): None,
    ("1", "2"): 1,
    ("1", "2", "3"): 2,
    ("1", "1"): None,
    ("1", "2", "2"): 1,
    ("1", "2", "3", "back 2"): 1,  # never forward to 3, which the rollback left
    ("1", "2", "3", "back 2", "back 1"): None,
    ("1", "2", "3", "back 1", "4"): 1,
    ("1", "2", "back 7"): 2,  # to one that never ran here
    ("1", "2", "-3"): 1,
    ("1", "2", "1"): 2,
    ("1", "2", "reset", "3"): 2,
}


@pytest.mark.parametrize(("words", "target"), TARGETS.items(), ids=map(" ".join, TARGETS))
def test_a_rollback_goes_to_the_version_before(words: tuple[str, ...], target: int | None) -> None:
    assert rollback_target(history(*words)) == target


def test_a_revoked_version_is_passed_over() -> None:
    assert rollback_target(history("1", "2", "3", revoked=(2,))) == 1


def test_only_what_was_confirmed_was_active() -> None:
    past = history("1", "-2")

    assert was_active(past, checksum="checksum 1")
    assert not was_active(past, checksum="checksum 2")
