"""An agent's live configuration on a store in memory, ready to be retuned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from retunable.config.agent_config import AgentConfig
from retunable.config.declaration import Declaration, declare
from retunable.live.configuration import LiveConfiguration
from retunable.live.health import Status
from retunable.live.stream_health import StreamState
from retunable.live.subscription import ConfigSubscription, Timings
from retunable.testing.fake_store import FakeStore
from tests.unit.live.virtual_time import until

AGENT = "config-aware-agent"
DOCUMENT = "config_aware_agent"


def declaration(agent: str = AGENT, *, prefix: str = "") -> Declaration:
    defaults = AgentConfig(role="Default", goal="Default", model="some-model")
    return declare(agent, defaults=defaults, prefix=prefix)


def live_on(
    store: FakeStore,
    *,
    agent: str = AGENT,
    prefix: str = "",
    timings: Timings | None = None,
    last_good_dir: Path | None = None,
    start_without_store: bool = False,
) -> LiveConfiguration:
    subscription = ConfigSubscription(
        timings=timings or Timings(),
        prefix=prefix,
        last_good_dir=last_good_dir,
        start_without_store=start_without_store,
    )
    return LiveConfiguration(declaration(agent, prefix=prefix), subscription, store=store)


@asynccontextmanager
async def started(
    store: FakeStore,
    *,
    timings: Timings | None = None,
    last_good_dir: Path | None = None,
    start_without_store: bool = False,
) -> AsyncIterator[LiveConfiguration]:
    live = live_on(
        store,
        timings=timings,
        last_good_dir=last_good_dir,
        start_without_store=start_without_store,
    )
    await live.start()
    try:
        yield live
    finally:
        await live.stop()


@asynccontextmanager
async def settled(
    store: FakeStore, *, timings: Timings | None = None
) -> AsyncIterator[LiveConfiguration]:
    """A live configuration whose stream is live and whose second read is done."""
    async with started(store, timings=timings) as live:
        await until(lambda: live.status.stream is StreamState.LIVE)
        # The second read after the subscription comes half a second later, or as timed.
        await asyncio.sleep((timings or Timings()).second_get_seconds + 0.1)
        yield live


def role(live: LiveConfiguration) -> str | None:
    return live.snapshot.config.role


def is_ready(live: LiveConfiguration) -> bool:
    return live.status.state is Status.READY


def stream(live: LiveConfiguration) -> StreamState:
    return live.status.stream
