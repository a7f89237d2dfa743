"""Live, suspect, polling: what moves a stream from one to another."""

from __future__ import annotations

from retunable.live.announcements import Announcements
from retunable.live.stream_health import (
    Cause,
    StreamHealth,
    StreamState,
    broken,
    confirmed,
    doubted,
    heard,
    opened,
)

LIVE = StreamHealth(StreamState.LIVE)


def missed(health: StreamHealth) -> StreamHealth:
    return doubted(health, most_fruitless=2)


def replaced(health: StreamHealth) -> StreamHealth:
    return opened(health, cause=Cause.MISSED, detail="agent_role")


def test_the_first_stream_is_live_once_a_read_has_worked() -> None:
    assert confirmed(opened(StreamHealth(), cause=Cause.FIRST)).state is StreamState.LIVE


def test_the_first_stream_is_no_replacement() -> None:
    assert opened(StreamHealth(), cause=Cause.FIRST).replacements == 0


def test_a_replacement_for_a_missed_change_is_not_confirmed_by_a_read() -> None:
    assert confirmed(replaced(missed(LIVE))).state is StreamState.SUSPECT


def test_a_replacement_is_proven_by_a_hint() -> None:
    health = heard(replaced(missed(LIVE)))
    assert (health.state, health.fruitless) == (StreamState.LIVE, 0)


def test_two_fruitless_replacements_lead_to_polling() -> None:
    health = LIVE
    for _ in range(2):
        health = replaced(missed(health))
        assert health.state is StreamState.SUSPECT
    assert missed(health).state is StreamState.POLLING


def test_polling_ends_with_a_hint_only() -> None:
    polling = StreamHealth(StreamState.POLLING, fruitless=2, doubted=True)
    tried = confirmed(opened(polling, cause=Cause.TRIAL))
    assert tried.state is StreamState.POLLING
    assert heard(tried).state is StreamState.LIVE


def test_a_stream_that_ended_is_live_again_after_the_next_read() -> None:
    health = opened(broken(LIVE), cause=Cause.ENDED, detail="OK")
    assert health.state is StreamState.SUSPECT
    assert confirmed(health).state is StreamState.LIVE


def test_a_replacement_names_its_cause() -> None:
    health = replaced(LIVE)
    assert health.last_cause == "a change was not announced: agent_role"
    assert health.replacements == 1


def test_a_change_without_a_hint_is_overdue_after_the_grace() -> None:
    announcements = Announcements(grace_seconds=2)
    announcements.found({"a"}, now=10)
    assert announcements.overdue(11.9) == frozenset()
    assert announcements.overdue(12.0) == {"a"}


def test_an_overdue_change_is_told_once() -> None:
    announcements = Announcements(grace_seconds=2)
    announcements.found({"a"}, now=10)
    announcements.overdue(12.0)
    assert announcements.overdue(13.0) == frozenset()


def test_a_hint_within_the_grace_explains_the_change() -> None:
    announcements = Announcements(grace_seconds=2)
    announcements.found({"a", "b"}, now=10)
    announcements.heard({"a"})
    assert announcements.overdue(12.0) == {"b"}


def test_a_second_change_does_not_put_off_the_first() -> None:
    announcements = Announcements(grace_seconds=2)
    announcements.found({"a"}, now=10)
    announcements.found({"a"}, now=11.5)
    assert announcements.due == 12
