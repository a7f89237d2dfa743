"""Tool calls: time limits, tries, call ids, results of bounded length."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from retunable.agent.tools.arguments import CallId
from retunable.agent.tools.call import ToolOutput, call_tool
from retunable.agent.tools.threads import ToolThreads
from retunable.agent.tools.tool import Tool, tool
from retunable.errors import ConfigurationError


class Waits:
    """Waits that take no time and are remembered."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def call(
    tool: Tool[..., Any], arguments: str = "{}", *, call_id: str | None = None
) -> ToolOutput:
    return await call_tool(tool, arguments, threads=ToolThreads(), call_id=call_id, sleep=Waits())


class Failing:
    """A function that raises some times before it works."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.calls = 0

    def work(self) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise ConnectionError("reset")
        return "done"


async def test_an_async_tool_that_hangs_is_cancelled_and_told_to_the_model() -> None:
    cancelled = asyncio.Event()

    @tool(timeout_seconds=0.01)
    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    output = await call(hangs)
    assert output == ToolOutput(
        "hangs did not end within 0.01 s and was given up; what it was doing may still take "
        "effect.",
        ok=False,
    )
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_a_tool_that_ignores_its_cancellation_holds_up_nothing() -> None:
    let_go = asyncio.Event()

    @tool(timeout_seconds=0.01)
    async def stubborn() -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    output = await asyncio.wait_for(call(stubborn), 5)
    assert "did not end within" in output.text
    let_go.set()


async def test_a_plain_tool_that_hangs_leaves_a_thread_that_is_counted_until_it_ends() -> None:
    let_go, ended = threading.Event(), threading.Event()

    @tool(timeout_seconds=0.01)
    def hangs() -> None:
        let_go.wait(10)
        ended.set()

    threads = ToolThreads()
    output = await call_tool(hangs, "{}", threads=threads)
    assert (output.ok, threads.abandoned) == (False, 1)
    let_go.set()
    assert await asyncio.to_thread(ended.wait, 5)
    for thread in threading.enumerate():
        if thread.name == "retunable-tool":
            await asyncio.to_thread(thread.join, 5)
    assert threads.abandoned == 0


async def test_too_many_abandoned_threads_stop_further_plain_tools() -> None:
    let_go = threading.Event()

    @tool(timeout_seconds=0.01)
    def hangs() -> None:
        let_go.wait(10)

    threads = ToolThreads(max_abandoned=1)
    await call_tool(hangs, "{}", threads=threads)
    output = await call_tool(hangs, "{}", threads=threads)
    let_go.set()
    assert "cannot be called now: 1 calls before it never ended" in output.text


async def test_the_time_limit_does_not_count_the_wait_for_a_thread() -> None:
    go = threading.Event()

    @tool
    def first() -> None:
        go.wait(10)

    @tool(timeout_seconds=5)
    def second() -> str:
        return "done"

    threads = ToolThreads(max_running=1)
    running = asyncio.create_task(call_tool(first, "{}", threads=threads))
    waiting = asyncio.create_task(call_tool(second, "{}", threads=threads))
    await asyncio.sleep(0)
    go.set()
    assert (await running).ok
    assert (await waiting).text == "done"


async def test_a_call_that_ran_out_of_time_is_not_made_again() -> None:
    calls = 0

    @tool(timeout_seconds=0.01, retries=3)
    async def hangs() -> None:
        nonlocal calls
        calls += 1
        await asyncio.Event().wait()

    await call(hangs)
    assert calls == 1


async def test_a_tools_own_timeout_error_is_an_error_like_another() -> None:
    @tool
    async def slow() -> None:
        raise TimeoutError("the database")

    assert await call(slow) == ToolOutput("slow failed: TimeoutError: the database", ok=False)


async def test_what_raises_is_made_again_as_often_as_the_tool_allows() -> None:
    failing = Failing(2)
    waits = Waits()
    allowed = tool(name="work", retries=2)(failing.work)
    output = await call_tool(allowed, "{}", threads=ToolThreads(), sleep=waits)
    assert output == ToolOutput("done")
    assert len(waits.seconds) == 2
    assert 0.1 <= waits.seconds[0] <= 0.2 <= waits.seconds[1] <= 0.4


async def test_without_retries_a_tool_is_called_once() -> None:
    failing = Failing(9)
    output = await call(tool(failing.work))
    assert (output.text, failing.calls) == ("work failed: ConnectionError: reset", 1)


async def test_wrong_arguments_are_not_tried_again() -> None:
    @tool(retries=3)
    def double(number: int) -> int:
        return 2 * number

    waits = Waits()
    await call_tool(double, '{"number": "x"}', threads=ToolThreads(), sleep=waits)
    assert waits.seconds == []


async def test_a_try_sees_nothing_of_what_the_one_before_did_to_its_arguments() -> None:
    seen: list[list[int]] = []

    @tool(retries=1)
    def consume(numbers: list[int]) -> None:
        seen.append(list(numbers))
        numbers.clear()
        raise ConnectionError

    await call(consume, '{"numbers": [1, 2]}')
    assert seen == [[1, 2], [1, 2]]


async def test_a_tool_that_is_cancelled_from_inside_fails_like_another() -> None:
    @tool
    async def cancels() -> None:
        raise asyncio.CancelledError

    output = await call(cancels)
    assert output == ToolOutput("cancels failed: RuntimeError: was cancelled from inside", ok=False)


async def test_an_async_tool_that_exits_ends_neither_the_loop_nor_the_process() -> None:
    @tool
    async def quits() -> None:
        raise SystemExit(3)

    assert not (await call(quits)).ok


async def test_a_cancelled_call_cancels_the_tool() -> None:
    runs, cancelled = asyncio.Event(), asyncio.Event()

    @tool
    async def waits() -> None:
        runs.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = asyncio.create_task(call(waits))
    await asyncio.wait_for(runs.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(cancelled.wait(), 5)


@tool
def charge(amount: int, key: CallId, note: str = "") -> str:
    """Charge a card."""
    return f"{amount} {key} {note}"


async def test_a_call_id_reaches_the_parameter_that_asks_for_it() -> None:
    assert await call(charge, '{"amount": 5}', call_id="run-1/2/0") == ToolOutput("5 run-1/2/0 ")


def test_a_call_id_is_no_argument_of_the_model() -> None:
    assert list(charge.spec.parameters["properties"]) == ["amount", "note"]


async def test_a_model_cannot_give_the_call_id() -> None:
    output = await call(charge, '{"amount": 5, "key": "mine"}', call_id="run-1/2/0")
    assert "Extra inputs are not permitted" in output.text


async def test_a_tool_that_wants_a_call_id_is_not_called_without_one() -> None:
    with pytest.raises(ValueError, match="takes a CallId"):
        await call(charge, '{"amount": 5}')


async def test_every_try_has_the_same_call_id() -> None:
    seen: list[str] = []

    @tool(retries=1)
    def pay(key: CallId | None = None) -> None:
        seen.append(key or "")
        raise ConnectionError

    await call(pay, call_id="run-1/2/0")
    assert seen == ["run-1/2/0"] * 2


async def test_a_long_result_is_cut_with_a_note() -> None:
    @tool
    def dump() -> str:
        return "x" * 2_000_000

    text = (await call(dump)).text
    assert text.endswith("xxx\n[cut here: the first 100000 of 2000000 characters]")
    assert len(text) < 100_100


async def test_the_length_of_a_result_is_the_tools_own() -> None:
    @tool(max_result_characters=3)
    def dump() -> list[int]:
        return [1, 2, 3]

    assert (await call(dump)).text == "[1,\n[cut here: the first 3 of 7 characters]"


async def test_a_long_error_is_cut_too() -> None:
    @tool(max_result_characters=20)
    def broken() -> None:
        raise ValueError("x" * 1000)

    assert (await call(broken)).text.startswith("broken failed: Value\n[cut here")


async def test_a_result_that_is_no_valid_unicode_is_made_so() -> None:
    @tool
    def names() -> str:
        return "caf\udce9"

    assert (await call(names)).text == "caf?"


async def test_a_result_without_a_text_is_told_as_a_failure() -> None:
    class Odd:
        def __str__(self) -> str:
            raise LookupError("no text")

    @tool(retries=3)
    def odd() -> object:
        return Odd()

    assert not (await call(odd)).ok


@pytest.mark.parametrize(
    "limits",
    [
        {"timeout_seconds": 0},
        {"timeout_seconds": float("nan")},
        {"retries": -1},
        {"retries": 11},
        {"max_result_characters": 0},
        {"max_result_characters": 300_001},
    ],
)
def test_limits_out_of_range_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="tool 'work'"):
        tool(name="work", **limits)(Failing(0).work)
