"""A conversation of any length: a bounded document, older runs on pages of their own."""

from __future__ import annotations

from retunable.agent.conversations.conversations import RUNS_PER_PAGE, Conversation, Conversations
from retunable.agent.state.keys import StateKeys
from retunable.testing.fake_state import FakeState

LONG = 4 * RUNS_PER_PAGE + 50
RUNS = tuple(f"run {number}" for number in range(LONG))


async def _nothing_goes_on(run_id: str) -> bool:
    del run_id
    return False


def conversations(store: FakeState) -> Conversations:
    return Conversations(store, StateKeys("agent", "default"), goes_on=_nothing_goes_on)


async def long_conversation(kept: Conversations) -> Conversation:
    for run in RUNS:
        assert await kept.enter(await kept.read("c"), run, pinned=None)
    return await kept.read("c")


async def test_every_run_of_a_long_conversation_is_kept_in_order() -> None:
    kept = conversations(FakeState())
    standing = await long_conversation(kept)
    assert await kept.all_runs(standing) == RUNS
    assert len(standing.runs) <= 2 * RUNS_PER_PAGE
    assert standing.holder == RUNS[-1]


async def test_of_runs_that_set_a_page_apart_at_once_one_enters_and_nothing_is_lost() -> None:
    store = FakeState()
    one, other = conversations(store), conversations(store)
    for run in RUNS[: 2 * RUNS_PER_PAGE]:
        await one.enter(await one.read("c"), run, pinned=None)
    standing = await one.read("c")
    entered = [
        await kept.enter(standing, name, pinned=None)
        for kept, name in ((one, "first"), (other, "second"))
    ]
    assert entered == [True, False]
    assert await other.enter(await other.read("c"), "second", pinned=None)
    everything = await one.all_runs(await one.read("c"))
    assert everything == (*RUNS[: 2 * RUNS_PER_PAGE], "first", "second")


async def test_a_conversation_that_was_emptied_begins_without_its_pages() -> None:
    kept = conversations(FakeState())
    assert await kept.empty(await long_conversation(kept))
    assert await kept.enter(await kept.read("c"), "anew", pinned=None)
    assert await kept.all_runs(await kept.read("c")) == ("anew",)
