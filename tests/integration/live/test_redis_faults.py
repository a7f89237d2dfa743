"""Every way in which a real Redis stops telling: the next write is applied within 5 s."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.redis import RedisServer
from dev.stack import RedisStack, Stack
from retunable.live.health import Reason, Status
from retunable.live.stream_health import StreamState
from tests.integration.live.conftest import BOUND_SECONDS, QUICK, Scene, live_on

pytestmark = pytest.mark.redis


async def test_a_write_is_applied_at_once(redis: RedisStack) -> None:
    async with live_on(redis) as scene:
        assert await scene.seconds_to_apply("New") < 0.5
        await scene.write('{"goal": "From the document"}', key="config_aware_agent")
        await scene.seconds_until(
            lambda: scene.live.snapshot.config.goal == "From the document", within_seconds=0.5
        )


async def test_redis_killed_and_back_with_flags_in_its_file(redis: RedisStack) -> None:
    async with live_on(redis, timings=QUICK) as scene:
        await kill_and_restart(scene, redis)
        assert scene.live.status.last_replacement_cause == "reads failed and work again"


async def test_redis_killed_and_back_without_flags_in_its_file(
    redis_without_flags: RedisStack,
) -> None:
    async with live_on(redis_without_flags, timings=QUICK) as scene:
        await kill_and_restart(scene, redis_without_flags)
        assert scene.live.status.last_replacement_cause == "reads failed and work again"


async def test_pubsub_clients_killed(redis: RedisStack) -> None:
    async with live_on(redis) as scene:
        with redis.store.client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            client.set("agent_role", "Lost in the gap")
        lost = lambda: scene.role == "Lost in the gap"  # noqa: E731
        await scene.seconds_until(lost, within_seconds=BOUND_SECONDS)
        await scene.seconds_to_apply("New", within_seconds=BOUND_SECONDS)


async def test_notify_flags_wiped(redis: RedisStack) -> None:
    async with live_on(redis) as scene:
        with redis.store.client() as client:
            client.config_set("notify-keyspace-events", "")
        assert await scene.seconds_to_apply("Silent") <= BOUND_SECONDS
        await scene.seconds_until(lambda: scene.live.status.replacements == 1, within_seconds=4)
        assert scene.live.status.last_replacement_cause == (
            "a change was not announced: agent_role"
        )
        await asyncio.sleep(0.6)
        assert await scene.seconds_to_apply("Heard") < 0.5
        assert scene.live.status.stream is StreamState.LIVE


@pytest.mark.parametrize(
    "rights",
    [
        "+@all -config &*",
        "+@all resetchannels",
    ],
    ids=["no CONFIG", "no channels"],
)
async def test_a_user_without_the_rights_is_polled_for(
    tmp_path: Path, dapr_binaries: object, redis_program: object, rights: str
) -> None:
    line = f"user default on nopass ~* {rights}"
    admin = "user admin on >admin ~* &* +@all"
    store = RedisServer(tmp_path / "redis", notify=False, config_lines=(line, admin))
    with Stack.redis(tmp_path / "stack", state="sqlite", store=store) as stack:
        async with live_on(stack, timings=QUICK) as scene:
            for turn in range(3):
                assert await scene.seconds_to_apply(f"Deaf {turn}") <= BOUND_SECONDS
                await asyncio.sleep(0.9)
            assert scene.live.status.stream is StreamState.POLLING
            assert scene.live.status.replacements == 2
            await scene.write("Polled", key="agent_goal")
            polled = lambda: scene.live.snapshot.config.goal == "Polled"  # noqa: E731
            assert await scene.seconds_until(polled, within_seconds=BOUND_SECONDS) <= 1.5


async def test_redis_emptied_is_a_loss(redis: RedisStack) -> None:
    async with live_on(redis) as scene:
        with redis.store.client() as client:
            client.flushall()
        lost = lambda: scene.live.status.reason is Reason.LOST  # noqa: E731
        await scene.seconds_until(lost, within_seconds=BOUND_SECONDS)
        assert scene.role == "Stored"
        await scene.seconds_to_apply("Back")
        assert scene.live.status.state is Status.READY


async def test_a_value_that_is_no_text_is_rejected_alone(redis: RedisStack) -> None:
    async with live_on(redis) as scene:
        with redis.store.client() as client:
            client.set("agent_goal", b"\xff\xfe")
        assert await scene.seconds_to_apply("New") <= BOUND_SECONDS
        rejected = [(one.key, one.code) for one in scene.live.snapshot.rejected]
        assert rejected == [("agent_goal", "unreadable")]
        assert not scene.live.snapshot.whole
        await scene.write("Text", key="agent_goal")
        whole = lambda: scene.live.snapshot.whole  # noqa: E731
        await scene.seconds_until(whole, within_seconds=BOUND_SECONDS)


async def test_a_value_over_4_mib_is_rejected_alone(redis: RedisStack) -> None:
    async with live_on(redis) as scene:
        with redis.store.client() as client:
            client.set("agent_goal", "x" * 5_000_000)
        assert await scene.seconds_to_apply("New") <= BOUND_SECONDS
        assert [one.key for one in scene.live.snapshot.rejected] == ["agent_goal"]


async def kill_and_restart(scene: Scene, stack: RedisStack) -> None:
    stack.store.kill()
    stale = lambda: scene.live.status.state is Status.STALE  # noqa: E731
    await scene.seconds_until(stale, within_seconds=15)
    assert scene.live.status.reason is Reason.UNREACHABLE
    assert scene.role == "Stored"
    await asyncio.to_thread(stack.store.start)
    assert await scene.seconds_to_apply("New") <= BOUND_SECONDS
    await scene.settled()
    assert await scene.seconds_to_apply("Newer") < 0.5
    assert scene.live.status.state is Status.READY


@pytest.fixture
def redis_without_flags(
    tmp_path: Path, dapr_binaries: object, redis_program: object
) -> Iterator[RedisStack]:
    store = RedisServer(tmp_path / "redis", notify=False)
    with Stack.redis(tmp_path / "stack", state="sqlite", store=store) as stack:
        yield stack
