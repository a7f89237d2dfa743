"""A timer that is finer than the event loop's own."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from retunable.sidecar.fine_timer import FineTimer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's")


class Calls:
    def __init__(self) -> None:
        self.times: list[float] = []
        self.called = asyncio.Event()

    def __call__(self) -> None:
        self.times.append(time.monotonic())
        self.called.set()

    async def next(self) -> float:
        await self.called.wait()
        self.called.clear()
        return self.times[-1]


async def test_it_can_call_sooner_than_the_loop_can() -> None:
    calls = Calls()
    timer = FineTimer(calls)
    waits: list[float] = []
    # The loop's own timers count in milliseconds: none of theirs comes before 1 ms.
    while min(waits, default=1.0) >= 0.001 and len(waits) < 1000:
        began = time.monotonic()
        timer.start(0.0002)
        waits.append(await calls.next() - began)
    timer.close()
    assert 0.0002 <= min(waits) < 0.001


async def test_a_start_takes_the_place_of_the_one_before() -> None:
    calls = Calls()
    timer = FineTimer(calls)
    timer.start(0.001)
    timer.start(0.05)
    began = time.monotonic()
    assert await calls.next() - began >= 0.049
    await asyncio.sleep(0.02)
    assert len(calls.times) == 1
    timer.close()


async def test_one_that_is_due_and_started_again_waits_anew() -> None:
    calls = Calls()
    timer = FineTimer(calls)
    timer.start(0.001)
    time.sleep(0.005)  # noqa: ASYNC251 - it is due, and the loop has not seen it
    timer.start(0.05)
    began = time.monotonic()
    assert await calls.next() - began >= 0.049
    timer.close()


async def test_a_closed_one_calls_no_more() -> None:
    calls = Calls()
    timer = FineTimer(calls)
    timer.start(0.001)
    time.sleep(0.005)  # noqa: ASYNC251 - it is due, and the loop has not seen it
    timer.close()
    await asyncio.sleep(0.02)
    assert calls.times == []


async def test_no_time_at_all_is_as_soon_as_possible() -> None:
    calls = Calls()
    timer = FineTimer(calls)
    timer.start(0.0)
    async with asyncio.timeout(10):
        await calls.next()
    timer.close()
