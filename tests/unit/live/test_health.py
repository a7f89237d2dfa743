"""The status as a function of what happened."""

from __future__ import annotations

import pytest

from retunable.live.health import (
    Event,
    Health,
    ReadFailed,
    ReadSucceeded,
    Reason,
    Served,
    Source,
    Status,
    TaskDied,
    advance,
    judge,
)
from retunable.live.store import FailureKind

DOWN = ReadFailed(FailureKind.STORE_UNREACHABLE, "connection refused")


def after(*events: Event, now: float = 0.0) -> tuple[Status, Reason | None]:
    health = Health()
    for event in events:
        health = advance(health, event)
    state, reason, _ = judge(health, now=now, stale_after_seconds=9)
    return state, reason


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), (Status.NOT_READY, Reason.STARTING)),
        ((DOWN,), (Status.NOT_READY, Reason.UNREACHABLE)),
        ((DOWN, Served(Source.DISK)), (Status.STALE, Reason.OLD_READ)),
        ((DOWN, Served(Source.DEFAULTS)), (Status.STALE, Reason.START_WITHOUT_STORE)),
        ((DOWN, Served(Source.DISK), ReadSucceeded(0)), (Status.READY, None)),
        ((ReadSucceeded(0),), (Status.READY, None)),
        ((ReadSucceeded(0, ("agent_role",)),), (Status.STALE, Reason.LOST)),
        ((ReadSucceeded(0, ("agent_role",)), ReadSucceeded(1)), (Status.READY, None)),
        ((ReadSucceeded(0), DOWN), (Status.READY, None)),
        ((ReadSucceeded(0), TaskDied("watcher")), (Status.ERROR, Reason.TASK_DIED)),
        (
            (ReadSucceeded(0), TaskDied("watcher"), ReadSucceeded(1)),
            (Status.ERROR, Reason.TASK_DIED),
        ),
    ],
)
def test_status_follows_from_events(
    events: tuple[Event, ...], expected: tuple[Status, Reason | None]
) -> None:
    assert after(*events) == expected


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (FailureKind.STORE_UNREACHABLE, Reason.UNREACHABLE),
        (FailureKind.DEADLINE, Reason.UNREACHABLE),
        (FailureKind.POISONED, Reason.UNREACHABLE),
        (FailureKind.COMPONENT_ABSENT, Reason.ABSENT),
        (FailureKind.SIDECAR_UNREACHABLE, Reason.SIDECAR_UNREACHABLE),
        (None, Reason.UNSETTLED),
    ],
)
def test_three_missed_reconciles_make_it_stale(failure: FailureKind | None, reason: Reason) -> None:
    events = (ReadSucceeded(100), ReadFailed(failure, ""))
    assert after(*events, now=108.9) == (Status.READY, None)
    assert after(*events, now=109.0) == (Status.STALE, reason)


def test_an_unreachable_store_matters_more_than_what_was_lost_in_it() -> None:
    events = (ReadSucceeded(0, ("agent_role",)), DOWN)
    assert after(*events, now=20) == (Status.STALE, Reason.UNREACHABLE)


def test_a_good_read_forgets_the_failure() -> None:
    health = advance(advance(Health(), DOWN), ReadSucceeded(5))
    assert judge(health, now=6, stale_after_seconds=9) == (Status.READY, None, "")


def test_a_read_that_waits_for_ever_makes_it_stale_too() -> None:
    assert after(ReadSucceeded(100), now=109) == (Status.STALE, Reason.UNREACHABLE)
