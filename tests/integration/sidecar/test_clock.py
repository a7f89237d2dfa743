"""The machine's clock is put forward and back by years while a sidecar serves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from dapr.proto.common.v1 import common_pb2
from dapr.proto.runtime.v1 import configuration_pb2, dapr_pb2_grpc, state_pb2

from retunable.sidecar.configuration import ConfigurationFile
from retunable.sidecar.server import EmbeddedSidecar
from retunable.sidecar.settings import SidecarSettings
from tests.integration.sidecar.test_topics import publish, reading

pytestmark = pytest.mark.embedded

SECONDS = 20.0
YEARS = 20 * 365 * 86_400
JUMPS = pytest.mark.parametrize("jump", [YEARS, -YEARS], ids=["put forward", "put back"])


class Clock:
    """The wall clock of one sidecar; goes on by itself, and can be set."""

    def __init__(self) -> None:
        self.ahead_seconds = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead_seconds * 1_000_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def dapr(clock: Clock, data_dir: Path) -> AsyncIterator[Any]:
    """Dapr's API of a sidecar that lives by the test's clock."""
    settings = SidecarSettings(app_id="shop", data_dir=data_dir)
    async with (
        EmbeddedSidecar(settings, now=clock) as sidecar,
        grpc.aio.insecure_channel(f"127.0.0.1:{sidecar.grpc_port}") as channel,
    ):
        generated: Any = dapr_pb2_grpc.DaprStub  # without annotations
        yield generated(channel)


async def save(dapr: Any, key: str, **ttl: str) -> None:
    item = common_pb2.StateItem(key=key, value=b"1", metadata=ttl)
    await dapr.SaveState(state_pb2.SaveStateRequest(store_name="statestore", states=[item]))


async def get(dapr: Any, key: str) -> bytes:
    request = state_pb2.GetStateRequest(store_name="statestore", key=key)
    return bytes((await dapr.GetState(request)).data)


@JUMPS
async def test_a_change_of_the_configuration_is_told(
    jump: int, clock: Clock, dapr: Any, store: ConfigurationFile
) -> None:
    store.write({"role": "before"})
    call = dapr.SubscribeConfiguration(
        configuration_pb2.SubscribeConfigurationRequest(store_name="runtime-config", keys=["role"])
    )
    assert (await asyncio.wait_for(call.read(), SECONDS)).id
    clock.ahead_seconds = jump
    store.write({"role": "after"})
    told = await asyncio.wait_for(call.read(), SECONDS)
    while told.items["role"].value != "after":
        told = await asyncio.wait_for(call.read(), SECONDS)
    call.cancel()


@JUMPS
async def test_state_without_an_end_stays_and_can_be_written(
    jump: int, clock: Clock, dapr: Any
) -> None:
    await save(dapr, "before")
    clock.ahead_seconds = jump
    await save(dapr, "after")
    assert (await get(dapr, "before"), await get(dapr, "after")) == (b"1", b"1")


async def test_state_with_an_end_is_there_for_as_long_as_the_clock_says(
    clock: Clock, dapr: Any
) -> None:
    await save(dapr, "k", ttlInSeconds="3600")
    clock.ahead_seconds = -YEARS
    assert await get(dapr, "k") == b"1"
    clock.ahead_seconds = YEARS
    assert await get(dapr, "k") == b""


@JUMPS
async def test_messages_from_before_and_after_come_once_and_in_order(
    jump: int, clock: Clock, dapr: Any
) -> None:
    await publish(dapr, "before")
    clock.ahead_seconds = jump
    await publish(dapr, "after")
    async with reading(dapr) as reader:
        assert [await reader.take(), await reader.take()] == [b"before", b"after"]
        await publish(dapr, "last")
        assert await reader.take() == b"last"
