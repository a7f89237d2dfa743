"""Every way in which a real PostgreSQL stops telling: the next write is applied within 5 s."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dev.resources import write_atomically
from dev.stack import PostgresStack, Stack
from retunable.live.health import Reason, Status
from retunable.live.stream_health import StreamState
from tests.integration.live.conftest import BOUND_SECONDS, QUICK, live_on

pytestmark = pytest.mark.postgresql

LISTENERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'listen%'"


async def test_a_write_is_applied_at_once(postgres: PostgresStack) -> None:
    async with live_on(postgres) as scene:
        assert await scene.seconds_to_apply("New") < 0.5


async def test_the_listener_is_terminated(postgres: PostgresStack) -> None:
    async with live_on(postgres) as scene:
        assert await asyncio.to_thread(postgres.store.execute, LISTENERS)
        assert await scene.seconds_to_apply("Silent") <= BOUND_SECONDS
        await scene.seconds_until(lambda: scene.live.status.replacements == 1, within_seconds=4)
        assert scene.live.status.last_replacement_cause == (
            "a change was not announced: agent_role"
        )
        await asyncio.sleep(0.6)
        assert await scene.seconds_to_apply("Heard") < 0.5
        assert scene.live.status.stream is StreamState.LIVE


async def test_postgres_restarted(postgres: PostgresStack) -> None:
    async with live_on(postgres, timings=QUICK) as scene:
        await asyncio.to_thread(postgres.store.stop)
        stale = lambda: scene.live.status.state is Status.STALE  # noqa: E731
        await scene.seconds_until(stale, within_seconds=15)
        assert scene.live.status.reason is Reason.UNREACHABLE
        await asyncio.to_thread(postgres.store.start)
        assert await scene.seconds_to_apply("New") <= BOUND_SECONDS
        await scene.settled()
        assert await scene.seconds_to_apply("Newer") < 0.5
        assert scene.live.status.last_replacement_cause == "reads failed and work again"


async def test_postgres_restarted_between_two_reads(postgres: PostgresStack) -> None:
    async with live_on(postgres) as scene:
        await asyncio.to_thread(postgres.store.restart)
        assert await scene.seconds_to_apply("Silent") <= BOUND_SECONDS
        await scene.seconds_until(lambda: scene.live.status.replacements >= 1, within_seconds=6)
        await asyncio.sleep(0.6)
        assert await scene.seconds_to_apply("Heard") < 0.5
        assert scene.live.status.stream is StreamState.LIVE


async def test_a_table_without_a_trigger_is_polled_and_said_to_be(
    postgres: PostgresStack,
) -> None:
    async with live_on(postgres, timings=QUICK) as scene:
        await asyncio.to_thread(
            postgres.store.execute, "ALTER TABLE configuration DISABLE TRIGGER USER"
        )
        for turn in range(3):
            assert await scene.seconds_to_apply(f"Deaf {turn}") <= BOUND_SECONDS
            await asyncio.sleep(0.9)
        assert scene.live.status.stream is StreamState.POLLING


async def test_a_pool_of_one_connection_is_polled(
    tmp_path: Path, dapr_binaries: object, postgres_program: object
) -> None:
    with Stack.postgres(tmp_path / "stack", state="sqlite") as stack:
        file = stack.resources / "configstore.yaml"
        text = file.read_text()
        assert "sslmode=disable" in text
        assert "maxConns" in text
        async with live_on(stack, timings=QUICK) as scene:
            pool = "sslmode=disable pool_max_conns=1"
            one = text.replace("sslmode=disable", pool).replace("maxConns", "unused")
            write_atomically(file, one)
            assert await scene.seconds_to_apply("On one connection") <= BOUND_SECONDS
            await asyncio.sleep(0.9)
            polling = lambda: scene.live.status.stream is StreamState.POLLING  # noqa: E731
            await scene.seconds_until(polling, within_seconds=20)
            assert await scene.seconds_to_apply("Polled") <= BOUND_SECONDS
            assert scene.live.status.state is Status.READY


async def test_the_documented_table_of_dapr_works(
    tmp_path: Path, dapr_binaries: object, postgres_program: object
) -> None:
    with Stack.postgres(tmp_path / "stack", state="sqlite", schema="documented") as stack:
        async with live_on(stack) as scene:
            assert await scene.seconds_to_apply("New") < 0.5
            await asyncio.to_thread(stack.delete, "agent_role")
            await scene.seconds_until(
                lambda: scene.live.status.reason is Reason.LOST, within_seconds=0.5
            )
            assert scene.role == "New"


async def test_a_null_in_the_documented_shape_is_rejected_alone(
    tmp_path: Path, dapr_binaries: object, postgres_program: object
) -> None:
    with Stack.postgres(tmp_path / "stack", state="sqlite", schema="documented") as stack:
        stack.store.execute("ALTER TABLE configuration ALTER value DROP NOT NULL")
        async with live_on(stack) as scene:
            # The documented trigger would kill daprd with either of these.
            stack.store.execute("ALTER TABLE configuration DISABLE TRIGGER USER")
            stack.store.execute(
                "INSERT INTO configuration (key, value, version, metadata)"
                " VALUES ('agent_goal', NULL, '1', NULL),"
                " ('max_iterations', '7', '1', '{\"a\": 1}')"
            )
            stack.store.execute("ALTER TABLE configuration ENABLE TRIGGER USER")
            assert await scene.seconds_to_apply("New") <= BOUND_SECONDS
            rejected = {one.key for one in scene.live.snapshot.rejected}
            assert rejected == {"agent_goal", "max_iterations"}
