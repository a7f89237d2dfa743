"""A real daprd that dies, hangs or gets another component: the next write is applied within 5 s."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dev.ports import free_port
from dev.redis import RedisServer
from dev.resources import write_atomically
from dev.stack import RedisStack, Stack
from retunable.errors import Unavailable
from retunable.live.health import Reason, Status
from retunable.live.stream_health import StreamState
from retunable.live.subscription import Timings
from tests.integration.live.conftest import (
    BOUND_SECONDS,
    QUICK,
    Scene,
    live_configuration,
    live_on,
    started,
)


@pytest.mark.parametrize("end", ["kill", "terminate"])
async def test_daprd_ends_and_comes_back(stack: Stack, end: str) -> None:
    async with live_on(stack, timings=QUICK) as scene:
        await asyncio.to_thread(getattr(stack.sidecar, end))
        stale = lambda: scene.live.status.state is Status.STALE  # noqa: E731
        await scene.seconds_until(stale, within_seconds=15)
        assert scene.live.status.reason is Reason.SIDECAR_UNREACHABLE
        assert scene.role == "Stored"
        await scene.write("While daprd was gone")
        await asyncio.to_thread(stack.sidecar.start)
        applied = lambda: scene.role == "While daprd was gone"  # noqa: E731
        await scene.seconds_until(applied, within_seconds=BOUND_SECONDS)
        await works_again(scene)
        cause = scene.live.status.last_replacement_cause
        assert cause is not None
        assert cause.startswith(("the stream ended", "reads failed and work again"))


async def test_daprd_hangs_and_goes_on(stack: Stack) -> None:
    async with live_on(stack, timings=QUICK) as scene:
        stack.sidecar.pause()
        hung = lambda: scene.live.status.reason is Reason.SIDECAR_UNREACHABLE  # noqa: E731
        # Keepalive alone would need 15 s.
        await scene.seconds_until(hung, within_seconds=6)
        assert scene.live.status.state is Status.STALE
        stack.sidecar.resume()
        assert await scene.seconds_to_apply("New") <= BOUND_SECONDS
        await works_again(scene)


@pytest.mark.slow
async def test_daprd_hangs_until_keepalive_gives_up_and_goes_on(redis: RedisStack) -> None:
    async with live_on(redis, timings=QUICK) as scene:
        redis.sidecar.pause()
        await asyncio.sleep(18)
        redis.sidecar.resume()
        assert await scene.seconds_to_apply("New") <= BOUND_SECONDS
        await works_again(scene)


@pytest.mark.redis
async def test_the_component_is_edited_to_another_store(redis: RedisStack, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "other") as other, other.client() as client:
        client.set("agent_role", "In the other store")
        async with live_on(redis, timings=QUICK) as scene:
            edit(redis, redis.store.address, other.address)
            moved = lambda: scene.role == "In the other store"  # noqa: E731
            await scene.seconds_until(moved, within_seconds=BOUND_SECONDS)
            replaced = lambda: scene.live.status.replacements >= 1  # noqa: E731
            await scene.seconds_until(replaced, within_seconds=BOUND_SECONDS)
            await asyncio.sleep(0.6)
            client.set("agent_role", "Heard from the other store")
            heard = lambda: scene.role == "Heard from the other store"  # noqa: E731
            assert await scene.seconds_until(heard, within_seconds=BOUND_SECONDS) < 0.5
            assert scene.live.status.stream is StreamState.LIVE


@pytest.mark.redis
async def test_the_component_is_edited_without_another_store(redis: RedisStack) -> None:
    async with live_on(redis) as scene:
        # The store is the same, so that no read shows that the stream is a zombie.
        edit(redis, "version: v1", "version: v1\n  initTimeout: 9s")
        await asyncio.sleep(1)
        assert await scene.seconds_to_apply("New") <= BOUND_SECONDS
        await scene.seconds_until(lambda: scene.live.status.replacements == 1, within_seconds=4)
        await asyncio.sleep(0.6)
        assert await scene.seconds_to_apply("Newer") < 0.5


@pytest.mark.redis
async def test_the_component_is_taken_away_and_given_back(redis: RedisStack) -> None:
    async with live_on(redis, timings=QUICK) as scene:
        file = redis.resources / "configstore.yaml"
        text = file.read_text()
        file.unlink()
        stale = lambda: scene.live.status.state is Status.STALE  # noqa: E731
        await scene.seconds_until(stale, within_seconds=15)
        assert scene.live.status.reason is Reason.ABSENT
        write_atomically(file, text)
        await asyncio.sleep(0.2)
        assert await scene.seconds_to_apply("New") <= BOUND_SECONDS
        await works_again(scene)


@pytest.mark.redis
async def test_a_cold_start_with_redis_down_serves_the_last_good_configuration(
    redis: RedisStack, tmp_path: Path
) -> None:
    async with live_on(redis, last_good_dir=tmp_path / "last-good"):
        pass
    redis.store.kill()
    async with started(redis, last_good_dir=tmp_path / "last-good") as scene:
        assert scene.role == "Stored"
        assert (scene.live.status.state, scene.live.status.reason) == (
            Status.STALE,
            Reason.OLD_READ,
        )
        await asyncio.to_thread(redis.store.start)
        assert await scene.seconds_to_apply("New") <= BOUND_SECONDS


async def test_a_sidecar_that_is_not_there_fails_the_start() -> None:
    environment = {"DAPR_GRPC_PORT": str(free_port())}
    live = live_configuration(environment, timings=Timings(sidecar_deadline_seconds=0.5))
    with pytest.raises(Unavailable) as caught:
        await live.start()
    assert caught.value.part == "sidecar"


async def works_again(scene: Scene) -> None:
    await scene.settled()
    assert await scene.seconds_to_apply("Heard") < 0.5
    assert scene.live.status.state is Status.READY
    assert scene.live.status.stream is StreamState.LIVE


def edit(stack: Stack, old: str, new: str) -> None:
    file = stack.resources / "configstore.yaml"
    text = file.read_text()
    assert old in text
    write_atomically(file, text.replace(old, new))
