"""Direct writes in the audit: one entry for what several replicas saw, two for what happened twice."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from retunable.control import direct_writes
from retunable.events.event import ObservedChange
from retunable.release.store import audit, observations
from retunable.release.store.audit import Record
from retunable.release.store.verifying import verify

if TYPE_CHECKING:
    from retunable.release.store.records import Entry
    from retunable.release.store.release_store import ReleaseStore


def seen(
    replica: str = "r1", *, between: tuple[int, int] = (1_000, 2_000), **said: Any
) -> ObservedChange:
    usual: dict[str, Any] = {
        "agent": "support",
        "environment": "production",
        "key": "live/agent_role",
        "item": "override",
        "old": None,
        "new": "written by hand",
    }
    not_before_ms, not_after_ms = between
    return ObservedChange(
        event_id=str(uuid.uuid4()),
        replica=replica,
        at_ms=not_after_ms,
        not_before_ms=not_before_ms,
        not_after_ms=not_after_ms,
        **{**usual, **said},
    )


def take(store: ReleaseStore, *events: ObservedChange) -> None:
    with store.transaction() as work:
        direct_writes.take(work, events)


def observed(store: ReleaseStore, **asked: Any) -> list[Entry]:
    with store.snapshot() as work:
        assert verify(work).problems == ()
        return [one for one in audit.entries(work, **asked) if one.action == "observe"]


def test_what_two_replicas_saw_is_one_entry(store: ReleaseStore) -> None:
    take(store, seen("r1", between=(1_000, 2_000)), seen("r2", between=(1_900, 5_000)))

    [entry] = observed(store)
    assert (entry.agent, entry.environment) == ("support", "production")
    assert entry.data["new"] == "written by hand"
    assert "between 1970-01-01 00:00:01 UTC and 1970-01-01 00:00:02 UTC" in entry.stamp.reason


def test_the_same_event_again_is_no_second_entry(store: ReleaseStore) -> None:
    event = seen()
    take(store, event, event)
    take(store, event)

    assert len(observed(store)) == 1


def test_what_one_replica_saw_twice_happened_twice(store: ReleaseStore) -> None:
    take(store, seen("r1"), seen("r1", between=(1_500, 2_500)))
    take(store, seen("r2"), seen("r2", between=(1_500, 2_500)))

    assert len(observed(store)) == 2


def test_times_that_do_not_overlap_are_two_changes(store: ReleaseStore) -> None:
    take(store, seen("r1", between=(1_000, 2_000)), seen("r2", between=(2_001, 3_000)))

    assert len(observed(store)) == 2


STEPS = (
    seen("r1", between=(1_000, 2_000), old="A", new="B"),
    seen("r1", between=(1_900, 3_000), old="B", new="C"),
)
COARSE = seen("r2", between=(900, 3_500), old="A", new="C")


@pytest.mark.parametrize("told", list(permutations((*STEPS, COARSE))))
def test_what_another_replica_saw_in_steps_is_no_third_change(
    store: ReleaseStore, told: tuple[ObservedChange, ...]
) -> None:
    elsewhere = (
        replace(COARSE, event_id=str(uuid.uuid4()), environment="staging"),
        replace(COARSE, event_id=str(uuid.uuid4()), agent="billing"),
    )
    take(store, *elsewhere)
    for event in told:
        take(store, event)

    with store.snapshot() as work:
        here = list(audit.entries(work, agent="support", environment="production"))
        everywhere = observations.shown(work, list(audit.entries(work)))
        changes = [(one.data["old"], one.data["new"]) for one in observations.shown(work, here)]
    assert sorted(changes) == [("A", "B"), ("B", "C")]
    assert len(everywhere) == 4


OURS = [
    pytest.param({"changes": {"live/agent_role": {"old": "A", "new": "B"}}}, "B", id="set"),
    pytest.param(
        {"data": {"overrides": {"live/agent_role": ["A", ""], "live/agent_goal": None}}},
        None,
        id="cleared by a release",
    ),
]


@pytest.mark.parametrize("told", list(permutations(range(2))))
@pytest.mark.parametrize(("wrote", "left"), OURS)
def test_what_a_command_of_ours_wrote_is_a_step_too(
    store: ReleaseStore, wrote: dict[str, Any], left: str | None, told: tuple[int, ...]
) -> None:
    now = int(time.time() * 1000)
    with store.transaction() as work:
        ours = Record(
            action="set", agent="support", environment="production", reason="tuned", data=wrote
        )
        audit.append(work, ours)
    fine = seen("r1", between=(now - 2_000, now + 5_000), old=left, new="C")
    wide = seen("r2", between=(now - 4_000, now + 5_000), old="A", new="C")
    elsewhere = replace(wide, event_id=str(uuid.uuid4()), environment="staging")
    take(store, elsewhere, *((fine, wide)[place] for place in told))

    with store.snapshot() as work:
        stands = observations.shown(work, list(audit.entries(work)))
        changes = {(one.environment, one.data["old"]) for one in stands if one.action == "observe"}
    assert changes == {("production", left), ("staging", "A")}


def test_what_comes_after_its_steps_is_not_even_written(store: ReleaseStore) -> None:
    take(store, *STEPS)
    take(store, COARSE)
    take(store, COARSE)

    assert len(observed(store)) == 2


def test_agents_and_environments_do_not_cross(store: ReleaseStore) -> None:
    take(store, seen("r1"), seen("r2", agent="billing"), seen("r3", environment="staging"))

    assert {(one.agent, one.environment) for one in observed(store)} == {
        ("support", "production"),
        ("billing", "production"),
        ("support", "staging"),
    }


def test_a_question_for_the_field_finds_it(store: ReleaseStore) -> None:
    take(store, seen(), seen(key="live/llm_model"), seen(key="live/support", item="document"))

    assert [one.data["key"] for one in observed(store, field="model")] == ["live/llm_model"]


def test_what_a_command_announced_is_not_told_again(store: ReleaseStore) -> None:
    now = int(time.time() * 1000)
    between = (now - 5_000, now + 5_000)
    with store.transaction() as work:
        audit.append(
            work,
            Record(
                action="set",
                agent="support",
                environment="production",
                reason="tuned",
                data={"changes": {"live/agent_role": {"old": None, "new": "written by hand"}}},
            ),
        )
    take(
        store,
        seen("r1", between=between),
        seen("r2", between=between, new="something else"),
        seen("r3", between=between, environment="staging"),
        seen("r4"),
    )

    told = [(one.environment, one.data["new"], one.data["replica"]) for one in observed(store)]
    assert told == [
        ("production", "something else", "r2"),
        ("staging", "written by hand", "r3"),
        ("production", "written by hand", "r4"),
    ]
