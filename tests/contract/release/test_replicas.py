"""Replicas by their latest heartbeat: whichever order they come in, and until they fall silent."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from retunable.events.event import Heartbeat, ItemSeen, Rejected
from retunable.release.store import replicas

if TYPE_CHECKING:
    from retunable.release.store.release_store import ReleaseStore
    from retunable.release.store.replicas import LiveReplica
    from tests.contract.release.homes import Home


def beat(replica: str = "r1", *, at_ms: int = 1_000, **said: Any) -> Heartbeat:
    usual: dict[str, Any] = {
        "agent": "support",
        "environment": "production",
        "interval_ms": 60_000,
        "revision": 1,
        "status": "ready",
        "stream": "live",
    }
    return Heartbeat(event_id=str(uuid.uuid4()), replica=replica, at_ms=at_ms, **{**usual, **said})


def take(store: ReleaseStore, *beats: Heartbeat) -> None:
    with store.transaction() as work:
        replicas.take(work, beats)


def live(
    store: ReleaseStore, agent: str = "support", environment: str = "production"
) -> tuple[LiveReplica, ...]:
    with store.snapshot() as work:
        return replicas.live_replicas(work, agent, environment=environment)


def known(store: ReleaseStore) -> LiveReplica:
    """The one replica that is kept, live or silent."""
    with store.snapshot() as work:
        [found] = replicas.replicas(work, "support", environment="production")
    return found


def test_the_latest_heartbeat_of_each_replica_is_kept_whole(store: ReleaseStore) -> None:
    take(store, beat("r1"), beat("r2"))
    last = beat(
        "r1",
        at_ms=2_000,
        revision=7,
        generation=4,
        version=3,
        status="stale",
        stream=None,
        rejected=(Rejected("agent_role", "it's «bad»; DROP TABLE"),),
        items=(ItemSeen("b/llm_model", "0" * 16), ItemSeen("b/support", None)),
    )
    take(store, last)

    first, second = live(store)
    assert (second.replica, second.generation) == ("r2", None)
    for name in ("revision", "generation", "version", "status", "stream", "rejected", "items"):
        assert getattr(first, name) == getattr(last, name)
    assert second.items is None


def test_an_older_one_that_comes_later_changes_nothing(store: ReleaseStore) -> None:
    take(store, beat(at_ms=2_000, generation=5))
    take(store, beat(at_ms=1_000, generation=4))
    take(store, beat(at_ms=1_500, generation=3), beat(at_ms=1_400, generation=2))

    assert [one.generation for one in live(store)] == [5]


def test_a_replica_whose_clock_was_put_back_is_heard_again(store: ReleaseStore) -> None:
    take(store, beat(at_ms=9_000, interval_ms=1, generation=5))
    deadline = time.monotonic() + 20
    while known(store).generation != 6:
        assert time.monotonic() < deadline
        take(store, beat(at_ms=1_000, interval_ms=1, generation=6))


def test_a_replica_is_live_for_three_intervals(store: ReleaseStore) -> None:
    take(store, beat(interval_ms=2_000))

    found = known(store)
    assert found.live_at(found.seen_at + timedelta(seconds=5.9))
    assert not found.live_at(found.seen_at + timedelta(seconds=6))


def test_a_replica_that_leaves_is_gone_unless_it_is_heard_again(store: ReleaseStore) -> None:
    take(store, beat("r1"), beat("r2", at_ms=3_000))
    take(store, beat("r1", at_ms=2_000, leaving=True), beat("r2", at_ms=2_000, leaving=True))

    assert [one.replica for one in live(store)] == ["r2"]


def test_agents_and_environments_do_not_cross(store: ReleaseStore) -> None:
    take(
        store,
        beat(generation=1),
        beat(generation=2, environment="staging"),
        beat(generation=3, agent="billing"),
    )
    take(store, replace(beat(agent="billing", at_ms=5_000), leaving=True))

    assert [one.generation for one in live(store)] == [1]
    assert [one.generation for one in live(store, environment="staging")] == [2]
    assert live(store, "billing") == ()


OLDER = """INSERT INTO release_replicas VALUES ('support', 'production', 'r1',
    '2026-01-01 00:00:00+00', 1, 60000, 1, 4, 3, 'ready', 'live', '[]', '["agent_role"]', NULL)"""


def test_a_store_in_which_older_replicas_were_heard_hears_them_anew(empty: Home) -> None:
    empty.migrate(to="0005")
    empty.raw(OLDER)
    empty.set_up()

    with empty.open() as store:
        assert live(store) == ()
        take(store, beat(generation=5))
        assert [one.generation for one in live(store)] == [5]
