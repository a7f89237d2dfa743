"""A second dispatch joins the first."""

from __future__ import annotations

import asyncio

import pytest

from retunable.agent.loop.flights import Flights

KEY = ("r", 1, None)


async def test_the_second_joins_the_first() -> None:
    flights, go, ran = Flights(), asyncio.Event(), []

    async def work() -> str:
        ran.append(1)
        await go.wait()
        return "done"

    both = [asyncio.create_task(flights.join(KEY, work)) for _ in range(2)]
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(*both) == ["done", "done"]
    assert ran == [1]


async def test_a_cancelled_dispatch_leaves_the_work_for_the_next() -> None:
    flights, go = Flights(), asyncio.Event()

    async def work() -> str:
        await go.wait()
        return "done"

    first = asyncio.create_task(flights.join(KEY, work))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(flights.join(KEY, work))
    go.set()
    assert await second == "done"


async def test_the_end_of_one_run_leaves_the_others() -> None:
    flights = Flights()

    async def work() -> None:
        await asyncio.Event().wait()

    one = asyncio.create_task(flights.join(KEY, work))
    other = asyncio.create_task(flights.join(("s", 1, None), work))
    await asyncio.sleep(0)
    await flights.end("r")
    await asyncio.sleep(0)
    assert (one.cancelled(), other.done()) == (True, False)
    await flights.close()
    await asyncio.gather(other, return_exceptions=True)


async def test_after_the_close_nothing_begins() -> None:
    flights = Flights()
    await flights.close()
    with pytest.raises(asyncio.CancelledError):
        await flights.join(KEY, asyncio.Event().wait)
