"""Waiting for an event: set, not set in time, cancelled."""

from __future__ import annotations

import asyncio

import pytest

from retunable.waiting import wait_until_set

SECONDS = 30.0


async def test_an_event_that_is_set_ends_the_wait() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)

    assert await wait_until_set(event, within_seconds=SECONDS)


async def test_an_event_that_is_not_set_ends_it_when_the_time_is_over() -> None:
    assert not await wait_until_set(asyncio.Event(), within_seconds=0.01)


async def test_no_bound_waits_for_the_event() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)

    assert await wait_until_set(event, within_seconds=None)


@pytest.mark.parametrize("turns", range(5))
async def test_a_cancellation_that_meets_the_event_is_not_lost(turns: int) -> None:
    """A task that waits again and again ends, however the two fall together."""
    event = asyncio.Event()

    async def waits() -> None:
        while True:
            event.clear()
            await wait_until_set(event, within_seconds=SECONDS)

    waiting = asyncio.create_task(waits())
    await pass_turns(1)
    event.set()
    await pass_turns(turns)
    waiting.cancel()
    await pass_turns(10)

    assert waiting.cancelled()


async def pass_turns(number: int) -> None:
    """Let the event loop go round."""
    for _ in range(number):
        await asyncio.sleep(0)
