"""Two fields written together on a real store are never seen apart."""

from __future__ import annotations

import asyncio
import json

import pytest

from dev.stack import PostgresStack, RedisStack
from retunable.config.snapshot import Snapshot
from tests.integration.live.conftest import Scene, live_on

WRITES = 100


@pytest.mark.redis
async def test_two_field_keys_of_one_mset(redis: RedisStack) -> None:
    with redis.store.client() as client:
        client.mset({"agent_role": "-", "agent_goal": "-"})

        def write(value: str) -> None:
            client.mset({"agent_role": value, "agent_goal": value})

        async with live_on(redis) as scene:
            await nothing_is_torn(scene, write)


@pytest.mark.redis
async def test_two_fields_of_one_document(redis: RedisStack) -> None:
    with redis.store.client() as client:

        def write(value: str) -> None:
            client.set("config_aware_agent", json.dumps({"role": value, "goal": value}))

        async with live_on(redis) as scene:
            client.delete("agent_role")
            await nothing_is_torn(scene, write)


@pytest.mark.postgresql
async def test_two_rows_of_one_transaction(postgres: PostgresStack) -> None:
    postgres.set("agent_goal", "-")
    with postgres.store.connect() as connection:

        def write(value: str) -> None:
            with connection.transaction():
                for key in ("agent_role", "agent_goal"):
                    connection.execute(
                        "UPDATE configuration SET value = %s WHERE key = %s", (value, key)
                    )

        async with live_on(postgres) as scene:
            await nothing_is_torn(scene, write)


async def nothing_is_torn(scene: Scene, write: object) -> None:
    assert callable(write)
    seen: list[tuple[str | None, str | None]] = []

    async def note(_: Snapshot | None, new: Snapshot) -> None:
        seen.append((new.config.role, new.config.goal))

    write("first")
    applied = lambda: scene.role == scene.live.snapshot.config.goal  # noqa: E731
    await scene.seconds_until(applied, within_seconds=5)
    scene.live.on_change(note)
    for turn in range(WRITES):
        await asyncio.to_thread(write, f"together {turn}")
    last = (f"together {WRITES - 1}",) * 2
    await scene.seconds_until(lambda: seen[-1:] == [last], within_seconds=5)
    assert [pair for pair in seen if pair[0] != pair[1]] == []
