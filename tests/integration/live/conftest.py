"""A live configuration on a real daprd with a real store: what each test retunes and breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.stack import PostgresStack, RedisStack, Stack
from retunable.config.agent_config import AgentConfig
from retunable.config.declaration import declare
from retunable.live.configuration import LiveConfiguration
from retunable.live.dapr_store import DaprConfigurationStore
from retunable.live.sidecar import endpoint_from_environment
from retunable.live.stream_health import StreamState
from retunable.live.subscription import ConfigSubscription, Timings

BOUND_SECONDS = 5.0
"""How long after a fault's end the next write may take."""

QUICK = Timings(
    reconcile_seconds=0.5,
    announce_grace_seconds=0.3,
    second_get_seconds=0.3,
    call_deadline_seconds=1.0,
    describe_deadline_seconds=0.5,
)
"""For tests that wait for something to be noticed; the bound itself hangs on other intervals."""


@dataclass(frozen=True)
class Scene:
    """One agent's live configuration and the stack below it."""

    stack: Stack
    live: LiveConfiguration

    @property
    def role(self) -> str | None:
        return self.live.snapshot.config.role

    async def write(self, value: str, *, key: str = "agent_role") -> None:
        await asyncio.to_thread(self.stack.set, key, value)

    async def seconds_until(self, fact: Callable[[], bool], *, within_seconds: float) -> float:
        """Wait for a fact; returns how long it took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not fact():
            if loop.time() - begun > within_seconds:
                raise AssertionError(f"not within {within_seconds} s; {self.live.status}")
            await asyncio.sleep(0.002)
        return loop.time() - begun

    async def seconds_to_apply(self, value: str, *, within_seconds: float = 5.0) -> float:
        """Write the role and wait until it is applied."""
        await self.write(value)
        return await self.seconds_until(lambda: self.role == value, within_seconds=within_seconds)

    async def settled(self) -> None:
        """Wait until the stream is live and the second read after the subscription is done."""
        await self.seconds_until(
            lambda: self.live.status.stream is StreamState.LIVE, within_seconds=10
        )
        await asyncio.sleep(0.6)


@asynccontextmanager
async def live_on(
    stack: Stack, *, timings: Timings | None = None, last_good_dir: Path | None = None
) -> AsyncIterator[Scene]:
    """A started live configuration whose stream is live, on a store that holds a role."""
    await asyncio.to_thread(stack.set, "agent_role", "Stored")
    async with started(stack, timings=timings, last_good_dir=last_good_dir) as scene:
        await scene.settled()
        yield scene


@asynccontextmanager
async def started(
    stack: Stack, *, timings: Timings | None = None, last_good_dir: Path | None = None
) -> AsyncIterator[Scene]:
    """A live configuration that has been started, whatever became of it."""
    live = live_configuration(
        stack.sidecar.environment, timings=timings or Timings(), last_good_dir=last_good_dir
    )
    await live.start()
    try:
        yield Scene(stack, live)
    finally:
        await live.stop()


def live_configuration(
    environment: Mapping[str, str], *, timings: Timings, last_good_dir: Path | None = None
) -> LiveConfiguration:
    """The live configuration of one agent, not yet started."""
    endpoint = endpoint_from_environment(environment)
    return LiveConfiguration(
        declare(
            "config-aware-agent",
            defaults=AgentConfig(role="Default", goal="Default", model="some-model"),
        ),
        ConfigSubscription(timings=timings, last_good_dir=last_good_dir),
        store=DaprConfigurationStore("runtime-config", endpoint=endpoint, timings=timings),
    )


@pytest.fixture
def redis(tmp_path: Path, dapr_binaries: object, redis_program: object) -> Iterator[RedisStack]:
    with Stack.redis(tmp_path / "stack", state="sqlite") as stack:
        yield stack


@pytest.fixture
def postgres(
    tmp_path: Path, dapr_binaries: object, postgres_program: object
) -> Iterator[PostgresStack]:
    with Stack.postgres(tmp_path / "stack", state="sqlite") as stack:
        yield stack
