"""The store, the component or the sidecar is away: what is served, what is said, what mends it."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from retunable.errors import NotReady
from retunable.live.health import LiveStatus, Reason, Status
from retunable.live.store import FailureKind, StoreFailure
from retunable.live.subscription import Timings
from retunable.testing.fake_store import FakeStore
from tests.unit.live.scenes import DOCUMENT, is_ready, live_on, role, settled, started
from tests.unit.live.virtual_time import in_virtual_time, until


@in_virtual_time
async def test_a_store_that_is_down_at_start_leaves_the_agent_not_ready() -> None:
    store = FakeStore({"agent_role": "Stored"})
    store.fail_reads(FailureKind.STORE_UNREACHABLE, "connection refused")
    async with started(store) as live:
        assert live.status.state is Status.NOT_READY
        assert live.status.reason is Reason.UNREACHABLE
        with pytest.raises(NotReady, match="connection refused"):
            _ = live.snapshot
        store.mend()
        assert await until(lambda: is_ready(live)) <= 1.1
        assert role(live) == "Stored"


@in_virtual_time
async def test_start_without_store_runs_on_code_defaults_and_says_so() -> None:
    store = FakeStore({"agent_role": "Stored"})
    store.fail_reads(FailureKind.STORE_UNREACHABLE)
    async with started(store, start_without_store=True) as live:
        assert role(live) == "Default"
        assert live.status.state is Status.STALE
        assert live.status.reason is Reason.START_WITHOUT_STORE
        store.mend()
        await until(lambda: role(live) == "Stored")
        assert is_ready(live)


@in_virtual_time
async def test_a_store_that_was_empty_from_the_start_is_ready_on_defaults() -> None:
    async with started(FakeStore()) as live:
        assert is_ready(live)
        assert role(live) == "Default"


@in_virtual_time
async def test_a_cold_start_with_the_store_down_serves_the_last_good_configuration(
    tmp_path: Path,
) -> None:
    store = FakeStore({"agent_role": "Stored", "max_iterations": "7"})
    async with started(store, last_good_dir=tmp_path):
        pass
    store.fail_reads(FailureKind.STORE_UNREACHABLE)
    async with started(store, last_good_dir=tmp_path) as live:
        assert (role(live), live.snapshot.config.max_iterations) == ("Stored", 7)
        assert (live.status.state, live.status.reason) == (Status.STALE, Reason.OLD_READ)
        store.mend()
        store.set("agent_role", "Newer", announce=False)
        await until(lambda: is_ready(live))
        assert role(live) == "Newer"


@in_virtual_time
async def test_what_was_written_just_before_a_kill_is_on_disk_soon(tmp_path: Path) -> None:
    store = FakeStore({"agent_role": "Old"})
    async with started(store, last_good_dir=tmp_path) as live:
        store.set("agent_role", "New")
        await until(lambda: any("New" in file.read_text() for file in tmp_path.glob("*.json")))
        assert role(live) == "New"


@in_virtual_time
async def test_after_three_missed_reconciles_it_is_stale_and_serves_on() -> None:
    store = FakeStore({"agent_role": "Stored"})
    async with settled(store) as live:
        store.fail_reads(FailureKind.STORE_UNREACHABLE, "connection refused")
        await asyncio.sleep(8)
        assert is_ready(live)
        await until(lambda: live.status.state is Status.STALE, within_seconds=5)
        assert live.status.reason is Reason.UNREACHABLE
        assert role(live) == "Stored"


@in_virtual_time
@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (FailureKind.COMPONENT_ABSENT, Reason.ABSENT),
        (FailureKind.SIDECAR_UNREACHABLE, Reason.SIDECAR_UNREACHABLE),
        (FailureKind.DEADLINE, Reason.UNREACHABLE),
    ],
)
async def test_each_part_that_is_away_is_named_and_its_return_found(
    failure: FailureKind, reason: Reason
) -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        store.fail_reads(failure)
        store.set("agent_role", "New")
        await until(lambda: live.status.state is Status.STALE, within_seconds=15)
        assert live.status.reason is reason
        await asyncio.sleep(60)
        store.mend()
        assert await until(lambda: role(live) == "New") <= 1.2
        assert is_ready(live)
        await asyncio.sleep(1)
        store.set("agent_role", "Newer")
        assert await until(lambda: role(live) == "Newer") < 0.1


@in_virtual_time
async def test_a_store_that_is_away_is_asked_about_once_a_second() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store):
        store.fail_reads(FailureKind.STORE_UNREACHABLE)
        await asyncio.sleep(10)
        before = len(store.reads)
        await asyncio.sleep(30)
        assert 25 <= len(store.reads) - before <= 31


@in_virtual_time
async def test_a_sidecar_that_hangs_is_told_from_a_store_that_hangs() -> None:
    store = _HangingSidecar({"agent_role": "Old"})
    async with settled(store) as live:
        store.hanging = True
        store.fail_reads(FailureKind.DEADLINE)
        await until(lambda: live.status.state is Status.STALE, within_seconds=15)
        assert live.status.reason is Reason.SIDECAR_UNREACHABLE


@in_virtual_time
async def test_a_sidecar_that_never_comes_fails_the_start() -> None:
    store = FakeStore()
    store.fail_reads(FailureKind.SIDECAR_UNREACHABLE, "connection refused")
    live = live_on(store, timings=Timings(sidecar_deadline_seconds=5))
    with pytest.raises(StoreFailure, match="connection refused") as caught:
        await live.start()
    assert caught.value.part == "sidecar"
    assert 4 <= asyncio.get_running_loop().time() <= 5
    assert store.closed


@in_virtual_time
async def test_a_sidecar_that_comes_late_is_waited_for() -> None:
    store = FakeStore({"agent_role": "Stored"})
    store.fail_reads(FailureKind.SIDECAR_UNREACHABLE)
    live = live_on(store)
    starting = asyncio.create_task(live.start())
    await asyncio.sleep(20)
    assert not starting.done()
    store.mend()
    await starting
    assert is_ready(live)
    await live.stop()


@in_virtual_time
async def test_a_start_that_is_stopped_does_not_wait_any_longer() -> None:
    store = FakeStore()
    store.fail_reads(FailureKind.SIDECAR_UNREACHABLE)
    live = live_on(store)
    starting = asyncio.create_task(live.start())
    await asyncio.sleep(5)
    await live.stop()
    with pytest.raises(StoreFailure):
        await starting
    assert asyncio.get_running_loop().time() < 7


@in_virtual_time
async def test_what_was_stopped_can_be_started_again() -> None:
    store = FakeStore({"agent_role": "Old"})
    live = live_on(store)
    for value in ("New", "Newer"):
        await live.start()
        store.set("agent_role", value)
        await until(lambda value=value: role(live) == value)  # type: ignore[misc]
        await live.stop()


@in_virtual_time
async def test_a_store_that_comes_back_empty_is_a_loss_and_everything_stays() -> None:
    store = FakeStore({"agent_role": "Stored", "agent_goal": "Stored"})
    async with settled(store) as live:
        store.flush()
        await until(lambda: live.status.state is Status.STALE, within_seconds=5)
        assert live.status.reason is Reason.LOST
        assert role(live) == "Stored"
        assert live.status.alerts == 1
        store.set("agent_role", "Again")
        await until(lambda: is_ready(live))
        assert live.snapshot.config.goal == "Default"


@in_virtual_time
async def test_a_document_that_is_gone_is_a_loss_until_a_tombstone_says_that_it_is_meant() -> None:
    store = FakeStore({DOCUMENT: json.dumps({"role": "Stored"}), "agent_goal": "Stored"})
    async with settled(store) as live:
        store.delete(DOCUMENT)
        await until(lambda: live.status.reason is Reason.LOST)
        assert role(live) == "Stored"
        tombstone = {
            "retunable": 1,
            "reset": True,
            "agent": "config-aware-agent",
            "environment": "default",
            "generation": 1,
        }
        store.set(DOCUMENT, json.dumps(tombstone))
        await until(lambda: is_ready(live))
        assert role(live) == "Default"


@in_virtual_time
async def test_an_alert_is_one_error_line_for_each_transition(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="retunable")
    store = FakeStore({"agent_role": "Stored"})
    async with settled(store) as live:
        store.fail_reads(FailureKind.STORE_UNREACHABLE, "connection refused")
        await asyncio.sleep(120)
        store.mend()
        await until(lambda: is_ready(live))
        assert live.status.alerts == 1
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [error.getMessage() for error in errors] == [
        "Agent config-aware-agent: configuration is stale (unreachable) connection refused"
    ]
    mend = "Agent config-aware-agent: configuration is ready again (was stale: unreachable)"
    assert mend in caplog.messages


@in_virtual_time
async def test_status_callbacks_hear_of_each_transition() -> None:
    store = FakeStore({"agent_role": "Stored"})
    heard: list[tuple[Status, Status]] = []

    async def note(old: LiveStatus | None, new: LiveStatus) -> None:
        if old is not None and old.state is not new.state:
            heard.append((old.state, new.state))

    async with settled(store) as live:
        live.on_status(note)
        store.fail_reads(FailureKind.STORE_UNREACHABLE)
        await until(lambda: live.status.state is Status.STALE)
        await asyncio.sleep(2)
        store.mend()
        await until(lambda: is_ready(live))
        await asyncio.sleep(0.1)
    assert heard == [(Status.READY, Status.STALE), (Status.STALE, Status.READY)]


@in_virtual_time
async def test_the_age_is_that_of_the_last_good_read() -> None:
    store = FakeStore({"agent_role": "Stored"})
    async with settled(store) as live:
        store.fail_reads(FailureKind.STORE_UNREACHABLE)
        await asyncio.sleep(100)
        age = live.status.age_seconds
        assert age is not None
        assert 97 <= age <= 103


class _HangingSidecar(FakeStore):
    hanging = False

    async def describe(self):  # type: ignore[no-untyped-def]
        if self.hanging:
            raise StoreFailure(FailureKind.SIDECAR_UNREACHABLE, "Deadline Exceeded")
        return await super().describe()
