"""Work that a thread has a loop do: once, and by the thread itself where the loop cannot."""

from __future__ import annotations

import asyncio
import threading

import pytest

from retunable.sidecar.errands import Raised, resolve, run_on


def wanted() -> bool:
    return False


async def test_the_loop_does_the_work() -> None:
    loop = asyncio.get_running_loop()
    did = await asyncio.to_thread(run_on, loop, threading.get_ident, given_up=wanted)
    assert did == threading.get_ident()


async def test_what_the_work_raises_reaches_the_thread() -> None:
    def fail() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError):
        await asyncio.to_thread(run_on, asyncio.get_running_loop(), fail, given_up=wanted)


def test_a_closed_loop_leaves_the_work_to_the_thread() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    assert run_on(loop, threading.get_ident, given_up=wanted) == threading.get_ident()


async def test_a_loop_that_waits_for_the_thread_leaves_it_the_work_once() -> None:
    begun, closing = threading.Event(), threading.Event()
    did: list[int] = []
    loop = asyncio.get_running_loop()

    def given_up() -> bool:
        begun.set()
        return closing.is_set()

    def work() -> None:
        did.append(threading.get_ident())

    thread = threading.Thread(target=lambda: run_on(loop, work, given_up=given_up))
    thread.start()
    assert begun.wait(10)
    closing.set()
    thread.join(10)  # the loop stands still meanwhile
    await asyncio.sleep(0)  # what the thread left on the loop runs now
    assert did == [thread.ident]


async def test_all_results_of_a_loop_come_with_one_waking() -> None:
    loop = asyncio.get_running_loop()
    good, bad, gone = (loop.create_future() for _ in range(3))
    gone.cancel()
    woken = 0
    original = loop.call_soon_threadsafe

    def count(*arguments: object, **named: object) -> asyncio.Handle:
        nonlocal woken
        woken += 1
        return original(*arguments, **named)  # type: ignore[arg-type]

    loop.call_soon_threadsafe = count  # type: ignore[method-assign]
    resolve([(good, 1), (bad, Raised(LookupError("no"))), (gone, 2)])
    assert await good == 1
    with pytest.raises(LookupError):
        await bad
    assert woken == 1
