"""Sidecars as child processes, and plain stubs to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import grpc.aio
import pytest
from dapr.proto.runtime.v1 import dapr_pb2_grpc

from retunable.sidecar.child import SidecarChild
from retunable.sidecar.configuration import ConfigurationFile
from retunable.sidecar.files import configuration_file
from retunable.sidecar.settings import SidecarSettings

STOP_SECONDS = 15.0

StartSidecar: TypeAlias = Callable[..., SidecarChild]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start_sidecar(data_dir: Path) -> Iterator[StartSidecar]:
    """Start sidecars on one data folder; they end with the test."""
    with ExitStack() as stack:

        def start(app_id: str = "shop", **settings: Any) -> SidecarChild:
            child = SidecarChild.start(
                SidecarSettings(app_id=app_id, data_dir=data_dir, **settings)
            )
            stack.callback(child.stop, within_seconds=STOP_SECONDS)
            return child

        yield start


@pytest.fixture
def sidecar(start_sidecar: StartSidecar) -> SidecarChild:
    return start_sidecar()


@pytest.fixture
def store(data_dir: Path) -> ConfigurationFile:
    """The configuration as another process writes it."""
    return ConfigurationFile(configuration_file(data_dir))


@pytest.fixture
async def open_stub() -> AsyncIterator[Callable[[SidecarChild], Any]]:
    """Open stubs of Dapr's API; their channels are closed after the test."""
    channels: list[grpc.aio.Channel] = []

    def open_one(child: SidecarChild) -> Any:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{child.grpc_port}")
        channels.append(channel)
        generated: Any = dapr_pb2_grpc.DaprStub  # without annotations
        return generated(channel)

    yield open_one
    for channel in channels:
        await channel.close()


@pytest.fixture
def dapr(sidecar: SidecarChild, open_stub: Callable[[SidecarChild], Any]) -> Any:
    """Dapr's API of the test's sidecar."""
    return open_stub(sidecar)
