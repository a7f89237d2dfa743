"""Callbacks run apart: one that raises, blocks or calls back stops nothing."""

from __future__ import annotations

import asyncio
import threading

import pytest

from retunable.config.snapshot import Snapshot
from retunable.live.callbacks import Callbacks
from retunable.testing.fake_store import FakeStore
from tests.unit.live.scenes import role, settled
from tests.unit.live.virtual_time import in_virtual_time, until


@in_virtual_time
async def test_a_callback_that_raises_is_logged_and_called_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FakeStore({"agent_role": "Old"})
    calls: list[str | None] = []

    def fail(_: Snapshot | None, new: Snapshot) -> None:
        calls.append(new.config.role)
        raise RuntimeError("made to fail")

    async with settled(store) as live:
        live.on_change(fail)
        for value in ("New", "Newer"):
            store.set("agent_role", value)
            await until(lambda value=value: role(live) == value)  # type: ignore[misc]
            await until(lambda value=value: calls[-1:] == [value])  # type: ignore[misc]
    assert caplog.text.count("RuntimeError: made to fail") == 2


@in_virtual_time
async def test_a_callback_that_asks_for_the_end_of_the_process_is_logged_and_called_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FakeStore({"agent_role": "Old"})
    calls: list[str | None] = []

    def leave(_: Snapshot | None, new: Snapshot) -> None:
        calls.append(new.config.role)
        raise SystemExit(3)

    async with settled(store) as live:
        live.on_change(leave)
        for value in ("New", "Newer"):
            store.set("agent_role", value)
            await until(lambda value=value: calls[-1:] == [value])  # type: ignore[misc]
    assert "SystemExit" in caplog.text


@in_virtual_time
async def test_a_callback_that_blocks_holds_up_nobody_and_hears_the_latest() -> None:
    store = FakeStore({"agent_role": "0"})
    blocked, released = threading.Event(), threading.Event()
    calls: list[tuple[str | None, str | None]] = []
    others: list[str | None] = []

    def block(old: Snapshot | None, new: Snapshot) -> None:
        assert old is not None
        blocked.set()
        released.wait(10)
        calls.append((old.config.role, new.config.role))

    async def note(_: Snapshot | None, new: Snapshot) -> None:
        others.append(new.config.role)

    async with settled(store) as live:
        live.on_change(block)
        live.on_change(note)
        for value in ("1", "2", "3"):
            store.set("agent_role", value)
            await until(lambda value=value: role(live) == value)  # type: ignore[misc]
            await until(blocked.is_set)
        await until(lambda: others == ["1", "2", "3"])
        assert calls == []
        released.set()
        await until(lambda: len(calls) == 2)
    assert calls == [("0", "1"), ("1", "3")]


@in_virtual_time
async def test_a_callback_may_call_back_into_the_live_configuration() -> None:
    store = FakeStore({"agent_role": "Old"})
    seen: list[object] = []

    async with settled(store) as live:

        def look(_: Snapshot | None, new: Snapshot) -> None:
            seen.extend((live.snapshot.revision >= new.revision, live.status.state))
            remove()
            store.set("agent_goal", "set by the callback")

        remove = live.on_change(look)
        store.set("agent_role", "New")
        await until(lambda: live.snapshot.config.goal == "set by the callback")
    assert len(seen) == 2


@in_virtual_time
async def test_a_removed_callback_is_not_called() -> None:
    store = FakeStore({"agent_role": "Old"})
    calls: list[str | None] = []

    async def note(_: Snapshot | None, new: Snapshot) -> None:
        calls.append(new.config.role)

    async with settled(store) as live:
        live.on_change(note)()
        store.set("agent_role", "New")
        await until(lambda: role(live) == "New")
        await asyncio.sleep(1)
    assert calls == []


@in_virtual_time
async def test_stop_does_not_wait_for_a_callback_that_hangs() -> None:
    store = FakeStore({"agent_role": "Old"})
    hanging, released = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        hanging.set()
        released.wait(10)

    async with settled(store) as live:
        live.on_change(hang)
        store.set("agent_role", "New")
        await until(hanging.is_set)
    assert not released.is_set()
    released.set()


@in_virtual_time
async def test_a_callback_that_returns_a_coroutine_is_awaited() -> None:
    callbacks: Callbacks[int] = Callbacks()
    done: list[int] = []

    async def later(value: int) -> None:
        done.append(value)

    callbacks.add(lambda _, new: later(new))
    callbacks.tell(None, 7)
    await until(lambda: done == [7])


async def test_a_group_of_somebody_elses_is_told_first_and_outlives_the_end() -> None:
    told: list[str] = []
    over = asyncio.Event()

    async def first(_: str | None, new: str) -> None:
        told.append(f"first {new}")

    async def then(_: str | None, new: str) -> None:
        told.append(f"then {new}")
        over.set()

    theirs: Callbacks[str] = Callbacks()
    theirs.add(first)
    ours: Callbacks[str] = Callbacks()
    ours.add(then)
    ours.pass_on(theirs)
    ours.tell(None, "a")
    await asyncio.wait_for(over.wait(), 10)
    ours.tell("a", "b")
    ours.cancel()
    await asyncio.sleep(0)
    assert told == ["first a", "then a", "first b"]
