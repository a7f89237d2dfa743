"""The channel to a sidecar that comes, goes, or never was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dev.ports import free_port
from retunable.agent.sidecar_link import SidecarLink
from retunable.errors import Unavailable
from retunable.sidecar.settings import SidecarSettings
from retunable.sidecar.thread import SidecarThread

# After a second without anybody the channel's pause is longer than a sidecar takes to start.
AWAY_SECONDS = 1.2
PROMPT_SECONDS = 10.0


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A port on which nobody listens, where the sidecar is said to be."""
    found = free_port()
    monkeypatch.setenv("DAPR_GRPC_PORT", str(found))
    return found


@pytest.fixture
async def link(port: int) -> AsyncIterator[SidecarLink]:
    del port
    made = SidecarLink()
    yield made
    await made.close()


async def test_a_sidecar_that_appears_between_two_tries_to_connect_is_found(
    link: SidecarLink, port: int, tmp_path: Path
) -> None:
    began = time.monotonic()
    while time.monotonic() - began < AWAY_SECONDS:
        with pytest.raises(Unavailable):
            await link.parts()
    settings = SidecarSettings(app_id="late", data_dir=tmp_path, grpc_port=port)
    sidecar = await asyncio.to_thread(SidecarThread.start, settings)
    try:
        assert (await link.parts()).state_store == "statestore"
    finally:
        sidecar.stop(within_seconds=10)


async def test_a_sidecar_that_is_away_is_named_and_not_waited_for(link: SidecarLink) -> None:
    async with asyncio.timeout(PROMPT_SECONDS):
        with pytest.raises(Unavailable, match=r"does not answer \(unavailable\)"):
            await link.parts()
