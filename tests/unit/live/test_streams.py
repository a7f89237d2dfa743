"""A stream that goes silent or ends: noticed, replaced, or given up in favour of polling."""

from __future__ import annotations

import asyncio
import logging
from math import inf

import pytest

from retunable.live.configuration import LiveConfiguration
from retunable.live.store import FailureKind
from retunable.live.stream_health import StreamState
from retunable.live.subscription import Timings
from retunable.testing.fake_store import FakeStore
from tests.unit.live.scenes import declaration, live_on, role, settled, stream
from tests.unit.live.virtual_time import in_virtual_time, until


async def write(store: FakeStore, live: LiveConfiguration, value: str) -> float:
    store.set("agent_role", value)
    return await until(lambda: role(live) == value)


@in_virtual_time
async def test_a_write_on_a_silent_stream_is_found_by_the_reconcile_read() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        store.go_silent()
        assert await write(store, live, "New") <= 3.1


@in_virtual_time
async def test_without_the_reconcile_read_it_is_never_found() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store, timings=Timings(reconcile_seconds=inf)) as live:
        store.go_silent()
        store.set("agent_role", "New")
        await asyncio.sleep(600)
        assert role(live) == "Old"


@in_virtual_time
async def test_a_silent_stream_is_replaced_and_proven_by_the_next_hint() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        store.go_silent()
        await write(store, live, "New")
        assert await until(lambda: live.status.replacements == 1) <= 2.1
        assert stream(live) is StreamState.SUSPECT
        assert live.status.last_replacement_cause == "a change was not announced: agent_role"
        assert await write(store, live, "Newer") < 0.1
        assert stream(live) is StreamState.LIVE


@in_virtual_time
async def test_without_blame_a_silent_stream_is_never_replaced() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store, timings=Timings(announce_grace_seconds=inf)) as live:
        store.go_silent()
        for turn in range(5):
            await write(store, live, f"New {turn}")
            await asyncio.sleep(5)
        assert live.status.replacements == 0


@in_virtual_time
async def test_a_hint_within_the_grace_clears_the_stream() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        store.set("agent_role", "New", announce=False)
        await until(lambda: role(live) == "New")
        await asyncio.sleep(1.9)
        store.announce("agent_role")
        await asyncio.sleep(10)
        assert live.status.replacements == 0


@in_virtual_time
async def test_the_new_stream_stands_before_the_old_one_is_cancelled() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        (old,) = store.open_streams
        store.go_silent()
        await write(store, live, "New")
        await until(lambda: live.status.replacements == 1)
        await asyncio.sleep(0.1)
        assert store.streams_at_subscription == [0, 1]
        assert len(store.open_streams) == 1
        assert old not in store.open_streams


@in_virtual_time
async def test_after_two_fruitless_replacements_it_polls_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        store.go_silent(for_good=True)
        for turn in range(3):
            await write(store, live, f"New {turn}")
            await asyncio.sleep(5)
        assert stream(live) is StreamState.POLLING
        assert live.status.replacements == 2
        assert "the configuration stream is polling" in caplog.messages


@in_virtual_time
async def test_polling_reads_all_keys_so_that_a_new_key_is_seen_in_time() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with polling(store) as live:
        store.set("guardrail_threshold", "0.9")
        taken = await until(lambda: live.snapshot.config.guardrail_threshold == 0.9)
        assert taken <= 3.1
        assert set(store.reads[-1]) <= set(declaration().keys)


@in_virtual_time
async def test_polling_tries_a_stream_every_minute() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with polling(store) as live:
        before = len(store.subscriptions)
        await asyncio.sleep(181)
        assert len(store.subscriptions) == before + 3
        assert stream(live) is StreamState.POLLING
        assert len(store.open_streams) == 1


@in_virtual_time
async def test_polling_ends_when_a_stream_speaks_again() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with polling(store) as live:
        store.hear_again()
        await write(store, live, "Announced")
        assert stream(live) is StreamState.LIVE


@in_virtual_time
async def test_a_suspect_stream_has_all_keys_read() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        store.go_silent(for_good=True)
        await write(store, live, "New")
        await until(lambda: live.status.replacements == 1)
        store.set("guardrail_threshold", "0.9")
        assert await until(lambda: live.snapshot.config.guardrail_threshold == 0.9) <= 3.1


@in_virtual_time
async def test_a_stream_that_ended_is_opened_again_after_a_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        before = len(store.reads)
        store.end_streams("ended by daprd (OK)")
        await until(lambda: live.status.replacements == 1)
        assert len(store.reads) > before
        await until(lambda: live.status.stream is StreamState.LIVE)
        assert live.status.last_replacement_cause == "the stream ended: ended by daprd (OK)"
        assert await write(store, live, "New") < 0.1


@in_virtual_time
async def test_a_write_while_the_stream_was_gone_is_found_at_once() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        store.end_streams()
        store.set("agent_role", "New")
        assert await until(lambda: role(live) == "New") < 0.2


@in_virtual_time
async def test_streams_that_end_at_once_are_opened_with_growing_pauses() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        before = len(store.subscriptions)
        begun = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - begun < 60:
            store.end_streams()
            await asyncio.sleep(0.01)
        assert 10 < len(store.subscriptions) - before < 30
        assert await write(store, live, "New") <= 3.1


@in_virtual_time
async def test_reads_that_failed_and_work_again_bring_a_fresh_stream() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        store.fail_reads(FailureKind.STORE_UNREACHABLE)
        await asyncio.sleep(5)
        assert len(store.subscriptions) == 1
        # A LISTEN that died with its server: silent for ever.
        store.go_silent()
        store.mend()
        await until(lambda: live.status.replacements == 1)
        assert live.status.last_replacement_cause == "reads failed and work again"
        await asyncio.sleep(1)
        assert await write(store, live, "New") < 0.1


@in_virtual_time
async def test_without_the_fresh_stream_the_next_write_waits_for_the_reconcile_read() -> None:
    store = FakeStore({"agent_role": "Old"})
    async with settled(store, timings=Timings(renew_after_failed_reads=False)) as live:
        store.fail_reads(FailureKind.STORE_UNREACHABLE)
        await asyncio.sleep(5)
        store.go_silent()
        store.mend()
        await asyncio.sleep(2)
        assert live.status.replacements == 0
        assert await write(store, live, "New") > 0.5


@in_virtual_time
async def test_a_subscription_is_not_opened_while_reads_fail() -> None:
    store = FakeStore({"agent_role": "Old"})
    store.fail_reads(FailureKind.STORE_UNREACHABLE)
    live = live_on(store)
    await live.start()
    await asyncio.sleep(30)
    assert store.subscriptions == []
    store.mend()
    await until(lambda: live.status.stream is StreamState.LIVE)
    await live.stop()


@in_virtual_time
async def test_a_subscription_that_makes_reads_fail_is_discarded_and_then_given_up() -> None:
    store = _OneConnection({"agent_role": "Old"}, kind="postgresql")
    live = live_on(store)
    await live.start()
    await until(lambda: live.status.stream is StreamState.POLLING)
    assert len(store.subscriptions) == 3
    assert store.open_streams == []
    store.set("agent_role", "New")
    assert await until(lambda: role(live) == "New") <= 3.1
    await live.stop()


@in_virtual_time
async def test_all_agents_of_a_store_share_one_stream() -> None:
    store = FakeStore({"support/agent_role": "Old", "agent_role": "Old"})
    first, second = live_on(store), live_on(store, agent="other", prefix="support/")
    await first.start()
    await until(lambda: first.status.stream is StreamState.LIVE)
    await second.start()
    await until(lambda: second.status.stream is StreamState.LIVE)
    await asyncio.sleep(1)
    assert len(store.open_streams) == 1
    assert {"agent_role", "support/agent_role"} <= set(store.subscriptions[-1])
    store.set("support/agent_role", "New")
    assert await until(lambda: role(second) == "New") < 0.1
    assert role(first) == "Old"
    await second.stop()
    assert not store.closed
    assert await write(store, first, "New") < 0.1
    await first.stop()
    assert store.closed


@in_virtual_time
async def test_a_write_while_an_agent_joins_is_not_lost() -> None:
    store = FakeStore({"agent_role": "Old", "support/agent_role": "Old"})
    async with settled(store) as first:
        second = live_on(store, agent="other", prefix="support/")
        await second.start()
        store.set_many({"agent_role": "New", "support/agent_role": "New"})
        assert await until(lambda: role(first) == role(second) == "New") < 0.7
        await second.stop()


@in_virtual_time
async def test_a_stream_reader_that_breaks_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store = FakeStore({"agent_role": "Old"})
    async with settled(store) as live:
        (reader,) = (task for task in asyncio.all_tasks() if task.get_name() == "retunable hints")
        reader.cancel()
        await until(lambda: live.status.replacements == 1)
        await until(lambda: live.status.stream is StreamState.LIVE)
        assert await write(store, live, "New") < 0.7


class _OneConnection(FakeStore):
    """A pool of one connection: a subscription pins it, and every read waits in vain."""

    async def get(self, keys):  # type: ignore[no-untyped-def]
        if self.open_streams:
            self.fail_reads(FailureKind.DEADLINE, "no free connection")
        else:
            self.mend()
        return await super().get(keys)


class polling:  # noqa: N801 - reads as a function
    """A live configuration that has given its stream up."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self._scene = settled(store)

    async def __aenter__(self) -> LiveConfiguration:
        live = await self._scene.__aenter__()
        self._store.go_silent(for_good=True)
        for turn in range(3):
            await write(self._store, live, f"Silent {turn}")
            await asyncio.sleep(5)
        assert stream(live) is StreamState.POLLING
        return live

    async def __aexit__(self, *error: object) -> None:
        await self._scene.__aexit__(None, None, None)
