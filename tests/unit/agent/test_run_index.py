"""The list of the latest runs, without a clock: the first note is written at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from retunable.agent.runs.index import LISTED, RUNS_PER_PAGE, Head, RunIndex
from retunable.agent.state.keys import StateKeys
from retunable.testing.fake_state import FakeState

KEYS = StateKeys("helper", "default")


@asynccontextmanager
async def an_index(state: FakeState) -> AsyncIterator[RunIndex]:
    index = RunIndex(state, KEYS)
    yield index
    await index.close()


async def listed(state: FakeState, *runs: str) -> None:
    """Let a process of its own note runs and stop."""
    async with an_index(state) as index:
        for run in runs:
            index.note(run)


async def test_a_run_is_on_the_list_before_the_first_pause() -> None:
    state = FakeState()
    async with an_index(state) as index:
        index.note("a")
        for _ in range(20):
            await asyncio.sleep(0)
        assert KEYS.index in state.keys


async def test_runs_that_are_not_written_yet_are_listed() -> None:
    state = FakeState()
    await listed(state, "a")
    async with an_index(state) as index:
        state.away = True
        index.note("b")
        await asyncio.sleep(0)
        state.away = False
        assert await index.latest(10) == ("b", "a")


async def test_pages_are_read_as_far_as_they_are_asked_for() -> None:
    state = FakeState()
    runs = [f"r{number}" for number in range(LISTED + 3 * RUNS_PER_PAGE)]
    for first in range(0, len(runs), 30):
        await listed(state, *runs[first : first + 30])
    async with an_index(state) as index:
        for limit in (1, RUNS_PER_PAGE, 2 * RUNS_PER_PAGE, LISTED):
            assert await index.latest(limit) == tuple(reversed(runs[-limit:]))


async def test_what_is_listed_stays_bounded() -> None:
    state = FakeState()
    for first in range(0, 4 * LISTED, LISTED):
        await listed(state, *(f"r{number}" for number in range(first, first + LISTED)))
    assert len(state.keys) <= 1 + LISTED // RUNS_PER_PAGE


async def test_a_run_that_is_met_again_keeps_its_place() -> None:
    state = FakeState()
    await listed(state, *(f"r{number}" for number in range(2 * RUNS_PER_PAGE)))
    await listed(state, "r0")
    async with an_index(state) as index:
        assert (await index.latest(LISTED))[-1] == "r0"


@pytest.mark.parametrize("before", [(), ("old",)], ids=["a new list", "a list that stands"])
async def test_two_replicas_lose_nothing_of_each_other(before: tuple[str, ...]) -> None:
    """Fails where a new list is written over another, and where one that stands is without its etag."""
    state = FakeState()
    await listed(state, *before)
    runs = [[f"{name}{number}" for number in range(70)] for name in "ab"]
    await asyncio.gather(*(listed(state, *of) for of in runs))
    async with an_index(state) as index:
        assert set(await index.latest(LISTED)) == {*before, *(run for of in runs for run in of)}


def test_a_list_from_before_pages_is_read() -> None:
    head = Head.from_json({"v": 1, "runs": [str(n) for n in range(LISTED)]}, "7")
    new, pages = head.with_runs(("x",))
    assert new.etag == "7"
    assert sum(map(len, pages.values())) + len(new.runs) == LISTED + 1
    assert len(new.runs) < 2 * RUNS_PER_PAGE
