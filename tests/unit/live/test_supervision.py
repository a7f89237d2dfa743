"""A background task that dies is started again; one that cannot live is an error, never silence."""

from __future__ import annotations

import asyncio

import pytest

from retunable.live.health import Reason, Status
from retunable.live.subscription import Timings
from retunable.live.supervision import SupervisedTask
from retunable.testing.fake_store import FakeStore
from tests.unit.live.scenes import role, settled, started
from tests.unit.live.virtual_time import in_virtual_time, until


class Fallible:
    """Work that dies a number of times and then goes on."""

    def __init__(self, deaths: int) -> None:
        self.deaths = deaths
        self.starts = 0

    async def work(self) -> None:
        self.starts += 1
        if self.starts <= self.deaths:
            raise RuntimeError("made to die")
        await asyncio.Event().wait()


def supervised(work: Fallible, dead: list[str]) -> SupervisedTask:
    return SupervisedTask("worker", work.work, timings=Timings(), on_death=dead.append)


@in_virtual_time
async def test_a_task_that_dies_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    work, dead = Fallible(2), list[str]()
    task = supervised(work, dead)
    await until(lambda: work.starts == 3)
    await task.stop()
    assert dead == []
    assert caplog.text.count("RuntimeError: made to die") == 2


@in_virtual_time
async def test_a_task_that_cannot_live_is_reported_dead() -> None:
    work, dead = Fallible(1000), list[str]()
    task = supervised(work, dead)  # the event loop alone does not keep it
    await until(lambda: dead == ["worker"])
    assert work.starts == Timings().restart_limit
    await task.stop()


@in_virtual_time
async def test_stopping_a_task_is_no_death() -> None:
    work, dead = Fallible(0), list[str]()
    task = supervised(work, dead)
    await until(lambda: work.starts == 1)
    await task.stop()
    assert dead == []


@in_virtual_time
async def test_a_task_cancelled_by_somebody_else_is_a_death() -> None:
    work, dead = Fallible(0), list[str]()
    task = supervised(work, dead)  # the event loop alone does not keep it
    await until(lambda: work.starts == 1)
    (running,) = (one for one in asyncio.all_tasks() if one.get_name() == "retunable worker")
    running.cancel()
    await until(lambda: dead == ["worker"])
    await task.stop()


@in_virtual_time
async def test_a_read_that_breaks_in_an_unknown_way_is_tried_again() -> None:
    store = _BrokenStore({"agent_role": "Old"})
    async with settled(store) as live:
        store.broken = 3
        store.set("agent_role", "New")
        await until(lambda: role(live) == "New")
        assert live.status.state is Status.READY


@in_virtual_time
async def test_a_watcher_that_cannot_live_is_an_error_that_shows() -> None:
    store = _BrokenStore({"agent_role": "Old"})
    async with started(store) as live:
        store.broken = 10**6
        await until(lambda: live.status.state is Status.ERROR)
        assert live.status.reason is Reason.TASK_DIED
        assert role(live) == "Old"


class _BrokenStore(FakeStore):
    broken = 0

    async def get(self, keys):  # type: ignore[no-untyped-def]
        if self.broken:
            self.broken -= 1
            raise RuntimeError("made to break")
        return await super().get(keys)
