"""Daemon threads for what blocks."""

from __future__ import annotations

import asyncio
import threading

import pytest

from retunable.agent.loop.result_spacing import APART_SECONDS, ResultSpacing
from retunable.agent.tools.threads import ToolThreads
from retunable.live.threads import run_in_daemon_thread


async def test_what_the_call_raises_reaches_the_caller() -> None:
    def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await run_in_daemon_thread(fail, name="t")


async def test_a_cancelled_caller_does_not_wait_for_the_call() -> None:
    runs, never = threading.Event(), threading.Event()

    def block() -> None:
        runs.set()
        never.wait(10)

    task = asyncio.create_task(run_in_daemon_thread(block, name="t"))
    assert await asyncio.to_thread(runs.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    never.set()


async def test_no_more_tools_run_at_once_than_allowed() -> None:
    threads = ToolThreads(max_running=2)
    running, most, lock = 0, 0, threading.Lock()
    two = threading.Barrier(2, timeout=5)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        two.wait()
        with lock:
            running -= 1

    await asyncio.gather(*(threads.run(work) for _ in range(4)))
    assert most == 2


async def test_results_of_one_step_are_kept_apart_and_those_of_others_are_not() -> None:
    spacing = ResultSpacing()
    loop = asyncio.get_running_loop()
    came: dict[tuple[str, int], list[float]] = {("a", 1): [], ("a", 2): [], ("b", 1): []}

    async def pass_through(run: str, step: int) -> None:
        await spacing.take_turn(run, step)
        came[run, step].append(loop.time())

    steps = (("a", 1), ("a", 1), ("a", 1), ("a", 2), ("b", 1))
    await asyncio.gather(*(pass_through(run, step) for run, step in steps))
    first, second, third = came["a", 1]
    assert min(second - first, third - second) > APART_SECONDS * 0.9
    assert came["a", 2][0] < second
    assert came["b", 1][0] < second
