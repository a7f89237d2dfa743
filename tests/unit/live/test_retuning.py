"""A write becomes a snapshot: which reads it takes, in which order, and what is told."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from retunable.config.snapshot import Snapshot
from retunable.live.stream_health import StreamState
from retunable.live.subscription import Timings
from retunable.testing.fake_store import FakeStore
from tests.unit.live.scenes import AGENT, DOCUMENT, declaration, role, settled, started
from tests.unit.live.virtual_time import in_virtual_time, until

ALL_KEYS = declaration().keys


@in_virtual_time
async def test_start_returns_with_the_first_snapshot() -> None:
    async with started(FakeStore({"agent_role": "Stored"})) as live:
        assert role(live) == "Stored"
        assert live.snapshot.revision == 1


@in_virtual_time
async def test_the_order_is_get_subscribe_get_and_half_a_second_later_get() -> None:
    store = FakeStore({"agent_role": "Stored"}, kind="postgresql")
    async with started(store):
        assert (len(store.reads), len(store.subscriptions)) == (1, 0)
        await until(lambda: len(store.reads) == 2)
        assert len(store.subscriptions) == 1
        assert await until(lambda: len(store.reads) == 3) == pytest.approx(0.5, abs=0.1)


@in_virtual_time
async def test_a_write_lost_between_id_and_listening_is_found_by_the_second_get() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with started(store) as live:
        await until(lambda: live.status.stream is StreamState.LIVE)
        await asyncio.sleep(0.1)
        store.set("agent_role", "New", announce=False)
        assert await until(lambda: role(live) == "New") < 0.6


@in_virtual_time
async def test_without_the_second_get_that_write_waits_for_the_timer() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with started(store, timings=Timings(second_get_seconds=60)) as live:
        await until(lambda: live.status.stream is StreamState.LIVE)
        await asyncio.sleep(0.1)
        store.set("agent_role", "New", announce=False)
        assert await until(lambda: role(live) == "New") > 2


@in_virtual_time
async def test_a_blamed_stream_is_never_one_that_was_not_listening_yet() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with started(store) as live:
        await until(lambda: live.status.stream is StreamState.LIVE)
        store.set("agent_role", "New", announce=False)
        await until(lambda: role(live) == "New")
        await asyncio.sleep(10)
        assert live.status.replacements == 0


@in_virtual_time
async def test_a_hint_retunes_within_the_reads_that_it_takes() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        store.set("agent_role", "New")
        assert await until(lambda: role(live) == "New") < 0.05
        assert live.snapshot.revision == 2


@in_virtual_time
async def test_a_document_is_swapped_after_one_read_and_verified_later() -> None:
    store = FakeStore({DOCUMENT: json.dumps({"role": "Old"}), "agent_goal": "Goal"})
    async with settled(store) as live:
        before = len(store.reads)
        store.set(DOCUMENT, json.dumps({"role": "New"}))
        await until(lambda: role(live) == "New")
        assert store.reads[before:] == [(DOCUMENT, "agent_goal")]
        assert await until(lambda: len(store.reads) == before + 2) < 0.1
        assert store.reads[-1] == ALL_KEYS


@in_virtual_time
async def test_a_burst_of_hints_is_read_as_one() -> None:
    store = FakeStore({"agent_role": "Old"}, kind="postgresql")
    async with settled(store) as live:
        before = len(store.reads)
        for turn in range(100):
            store.set("agent_role", f"New {turn}")
        await until(lambda: role(live) == "New 99")
        assert len(store.reads) - before <= 3


@in_virtual_time
async def test_a_hint_without_a_change_leaves_the_snapshot_alone() -> None:
    store = FakeStore({"agent_role": "Same"})
    async with settled(store) as live:
        snapshot, before = live.snapshot, len(store.reads)
        store.set("agent_role", "Same")
        await until(lambda: len(store.reads) > before)
        await asyncio.sleep(1)
        assert live.snapshot is snapshot


@in_virtual_time
async def test_values_written_together_inside_a_read_are_never_seen_apart() -> None:
    store = FakeStore({"agent_role": "0", "agent_goal": "0"})
    seen: set[tuple[str | None, str | None]] = set()

    async def note(_: Snapshot | None, new: Snapshot) -> None:
        seen.add((new.config.role, new.config.goal))

    async with settled(store) as live:
        live.on_change(note)
        for turn in range(1, 20):
            store.set_many({"agent_role": f"{turn}", "agent_goal": f"{turn}"}, torn=True)
            store.announce("agent_role")
            await until(lambda turn=turn: role(live) == f"{turn}")  # type: ignore[misc]
    assert seen == {(f"{turn}", f"{turn}") for turn in range(1, 20)}


@in_virtual_time
async def test_keys_that_never_stand_still_keep_the_old_snapshot_and_are_tried_again() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        busy = True
        count = 0

        def write_again() -> None:
            nonlocal count
            count += 1
            store.set("agent_role", f"New {count}", announce=False)
            if busy:
                store.happen_inside_a_read(write_again)

        store.happen_inside_a_read(write_again)
        store.announce("agent_role")
        await asyncio.sleep(1)
        assert role(live) == "Old"
        busy = False
        await until(lambda: role(live) == f"New {count}")


@in_virtual_time
async def test_an_absent_key_created_on_a_deaf_stream_is_seen_within_30_seconds() -> None:
    store = FakeStore({"agent_role": "Here"})
    async with settled(store) as live:
        store.set("guardrail_threshold", "0.9", announce=False)
        taken = await until(lambda: live.snapshot.config.guardrail_threshold == 0.9)
        assert taken <= 30


@in_virtual_time
async def test_the_timer_asks_redis_for_few_absent_keys() -> None:
    store = FakeStore({"agent_role": "Here"})
    async with settled(store):
        await asyncio.sleep(1)
        before = len(store.reads)
        await asyncio.sleep(30)
        timed = store.reads[before:]
        assert len(timed) in (9, 10, 11)
        assert all("agent_role" in keys and len(keys) <= 3 for keys in timed)


@in_virtual_time
async def test_one_value_that_cannot_be_read_leaves_the_others_alone() -> None:
    store = FakeStore({"agent_role": "Old", "agent_goal": "Old"})
    async with settled(store) as live:
        store.poison("agent_role")
        store.announce("agent_role")
        store.set("agent_goal", "New")
        await until(lambda: live.snapshot.config.goal == "New")
        assert role(live) == "Old"
        assert not live.snapshot.whole
        assert [(one.key, one.code) for one in live.snapshot.rejected] == [
            ("agent_role", "unreadable")
        ]
        store.cure("agent_role")
        await until(lambda: live.snapshot.whole)
        assert live.snapshot.rejected == ()


@in_virtual_time
async def test_each_applied_field_is_logged_by_its_store_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="retunable")
    store = FakeStore()
    async with settled(store) as live:
        store.set("agent_role", "Expert Data Scientist")
        await until(lambda: role(live) == "Expert Data Scientist")
        store.set(DOCUMENT, json.dumps({"goal": "Find out", "max_iterations": 20}))
        await until(lambda: live.snapshot.config.goal == "Find out")
    lines = [record.getMessage() for record in caplog.records]
    start = f"Agent {AGENT} applying config update:"
    assert f'{start} agent_role="Expert Data Scientist"' in lines
    assert f'{start} agent_goal="Find out"' in lines
    assert f"{start} max_iterations=20" in lines
    assert sum(line.startswith(start) for line in lines) == 3


@in_virtual_time
async def test_a_rejection_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    store = FakeStore({"max_iterations": "many"})
    async with settled(store) as live:
        for turn in range(5):
            store.set("agent_role", f"{turn}")
            await until(lambda turn=turn: role(live) == f"{turn}")  # type: ignore[misc]
    rejected = [line for line in caplog.messages if "max_iterations" in line]
    assert len(rejected) == 1


@in_virtual_time
async def test_a_secret_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = FakeStore()
    async with settled(store) as live:
        store.set("llm_api_key", "sk-do-not-show-me")
        await until(lambda: bool(live.snapshot.rejected))
        store.set(DOCUMENT, json.dumps({"llm_api_key": "sk-do-not-show-me"}))
        await until(lambda: len(live.snapshot.rejected) == 2)
    assert "llm_api_key" in caplog.text
    assert "sk-do-not-show-me" not in caplog.text


@in_virtual_time
async def test_stop_leaves_no_task_behind() -> None:
    store = FakeStore({"agent_role": "Here"})
    async with settled(store) as live:
        store.set("agent_role", "New")
        await until(lambda: role(live) == "New")
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left
    assert store.closed
    assert role(live) == "New"
