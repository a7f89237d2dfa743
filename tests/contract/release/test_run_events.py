"""Events of runs: kept once, counted once, and rows of single users go after 30 days."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from retunable.events.event import Exposure, Feedback, Outcome
from retunable.events.pseudonym import scope_of
from retunable.release.store import run_events

if TYPE_CHECKING:
    from retunable.release.store.release_store import ReleaseStore
    from tests.contract.release.homes import Home

AT_MS = 1_800_000_000_000
OLD = "UPDATE release_run_events SET arrived_at = '2001-01-01T00:00:00.000Z' WHERE run = 'run-1'"


def said(run: str = "run-1", **more: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "event_id": str(uuid4()),
        "agent": "support",
        "environment": "production",
        "replica": "a",
        "at_ms": AT_MS,
        "run_id": run,
        "bucket": 7,
        "arm": "canary",
        "rollout_id": "r1",
        "user_hmac": "u1",
        "version": 2,
        "version_checksum": "c2",
        "effective_checksum": "e2",
        "variant": "canary",
    }
    return usual | more


def outcome(run: str = "run-1", **more: Any) -> Outcome:
    return Outcome(**said(run, **({"state": "finished", "latency_ms": 100} | more)))


def feedback(run: str, rating: Any, **more: Any) -> Feedback:
    told = {"event_id": str(uuid4()), "agent": "support", "environment": "production"}
    return Feedback(**(told | more), replica="a", at_ms=AT_MS, run_id=run, rating=rating)


def kept(store: ReleaseStore, rollout: str = "r1") -> list[Any]:
    with store.snapshot() as work:
        return list(run_events.run_events(work, rollout, after=0, at_most=1000))


def counted(store: ReleaseStore) -> dict[str, int]:
    with store.snapshot() as work:
        [row] = run_events.counts(work, "support", environment="production", rollout="r1")
    return {name: getattr(row, name) for name in ("started", "finished", "failed", "disliked")}


def test_what_is_told_is_what_is_read(store: ReleaseStore) -> None:
    with store.transaction() as work:
        run_events.take_exposures(work, [Exposure(**said())])
        run_events.take_outcomes(work, [outcome(cost=0.5, limit_hit=True)])

    first, second = kept(store)
    assert (first.kind, first.user_hmac, first.bucket, first.started_ms) == (
        "exposure",
        "u1",
        7,
        AT_MS,
    )
    assert (second.state, second.cost, bool(second.limit_hit)) == ("finished", 0.5, True)
    assert second.started_ms == AT_MS - 100


def test_an_event_told_again_counts_once(store: ReleaseStore) -> None:
    event, end = Exposure(**said()), outcome(state="failed")
    for _ in range(2):
        with store.transaction() as work:
            run_events.take_exposures(work, [event, event])
            run_events.take_outcomes(work, [end])

    assert len(kept(store)) == 2
    assert counted(store) == {"started": 1, "finished": 0, "failed": 1, "disliked": 0}


def test_a_rating_is_counted_where_its_run_was(store: ReleaseStore) -> None:
    with store.transaction() as work:
        run_events.take_exposures(work, [Exposure(**said())])
        run_events.take_feedback(work, [feedback("run-1", -1)])

    assert [row.kind for row in kept(store)] == ["exposure", "feedback"]
    assert kept(store)[1].user_hmac == "u1"
    assert counted(store)["disliked"] == 1


def test_a_run_of_another_agent_is_not_rated(store: ReleaseStore) -> None:
    with store.transaction() as work:
        run_events.take_exposures(work, [Exposure(**said())])
        run_events.take_feedback(work, [feedback("run-1", -1, agent="other")])

    assert len(kept(store)) == 1


def test_stable_is_what_a_rollout_is_planned_on(store: ReleaseStore) -> None:
    stable = {"variant": "stable", "arm": "stable", "version": 1}
    ends = [outcome(f"s{i}", latency_ms=i, **stable) for i in range(100)]
    with store.transaction() as work:
        run_events.take_exposures(work, [Exposure(**said("s1", **stable))])
        run_events.take_outcomes(work, [*ends, outcome("c", latency_ms=9999, state="failed")])
        since = work.now - timedelta(days=7)
        usage = run_events.usage(work, "support", environment="production", since=since)

    assert (usage.runs, usage.ended, usage.failed, usage.latency_p95_ms) == (1, 100, 0, 95)


STABLE: dict[str, Any] = {"variant": "stable", "arm": "stable", "version": 1}
NEXT_WEEK_MS = int(datetime(2027, 1, 18, tzinfo=UTC).timestamp() * 1000)


def users(store: ReleaseStore, *exposures: Exposure, since: timedelta) -> int:
    with store.transaction() as work:
        run_events.take_exposures(work, exposures)
        usage = run_events.usage(work, "support", environment="production", since=work.now + since)
        return usage.users


def at(at_ms: int, user: str) -> Exposure:
    """A run outside of rollouts; the same person has another hash in another ISO week."""
    scope = scope_of(None, datetime.fromtimestamp(at_ms / 1000, UTC))
    hashed = f"{user} in {scope}"
    return Exposure(**said(**STABLE, rollout_id=None, user_hmac=hashed, at_ms=at_ms))


def of_rollout(user: str) -> Exposure:
    return Exposure(**said(**STABLE, user_hmac=f"{user} in r1"))


def test_who_came_in_two_weeks_and_in_a_rollout_is_one_user(store: ReleaseStore) -> None:
    told = [at(AT_MS, "zoe"), at(AT_MS + 1, "max"), at(AT_MS + 2, "zoe"), at(NEXT_WEEK_MS, "zoe")]
    assert users(store, *told, of_rollout("zoe"), of_rollout("max"), since=timedelta(-7)) == 2


def test_a_week_begins_where_the_pseudonyms_do(store: ReleaseStore) -> None:
    told = [at(NEXT_WEEK_MS - 1, "zoe"), at(NEXT_WEEK_MS, "zoe")]
    assert users(store, *told, since=timedelta(-7)) == 1


def test_users_are_those_of_whole_weeks_and_of_rollouts_since_then(store: ReleaseStore) -> None:
    """They came in the week of ``since``, before it."""
    told = [at(AT_MS, "zoe"), of_rollout("zoe"), of_rollout("max")]
    assert users(store, *told, since=timedelta(milliseconds=1)) == 1


def test_where_nobody_is_told_apart_there_are_no_users(store: ReleaseStore) -> None:
    nobody = Exposure(**said(**STABLE, user_hmac=None, anonymous=True))
    assert users(store, nobody, since=timedelta(-7)) == 0


def test_rows_of_users_go_and_counts_stay(home: Home, store: ReleaseStore) -> None:
    with store.transaction() as work:
        run_events.take_exposures(work, [Exposure(**said()), Exposure(**said("b"))])
    home.raw(OLD)
    with store.transaction() as work:
        run_events.forget_users(work)

    assert [row.run for row in kept(store)] == ["b"]
    assert counted(store)["started"] == 2


@pytest.mark.parametrize("texts", ["'; DROP TABLE release_audit; --", 'a"\\b', "käse\u2028\t"])
def test_any_text_is_kept_as_it_is(store: ReleaseStore, texts: str) -> None:
    with store.transaction() as work:
        run_events.take_exposures(work, [replace(Exposure(**said()), user_hmac=texts)])

    assert kept(store)[0].user_hmac == texts
