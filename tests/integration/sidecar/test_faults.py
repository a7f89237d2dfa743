"""What goes wrong on a laptop: a pause and on, or a clear error; never a hang."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from dapr.proto.common.v1 import common_pb2
from dapr.proto.runtime.v1 import configuration_pb2, state_pb2

from retunable.errors import Unavailable
from retunable.sidecar.child import SidecarChild
from retunable.sidecar.configuration import ConfigurationFile
from retunable.sidecar.files import DataFiles, configuration_file
from tests.integration.sidecar.conftest import STOP_SECONDS, StartSidecar

pytestmark = pytest.mark.embedded

SECONDS = 20.0


def save(dapr: Any, key: str, value: bytes = b"1") -> Any:
    states = [common_pb2.StateItem(key=key, value=value)]
    return dapr.SaveState(state_pb2.SaveStateRequest(store_name="statestore", states=states))


def get(dapr: Any, key: str) -> Any:
    return dapr.GetState(state_pb2.GetStateRequest(store_name="statestore", key=key))


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the writer's lock of a file, as a backup or a forgotten shell does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@asynccontextmanager
async def subscribed(dapr: Any, *keys: str) -> AsyncIterator[Any]:
    request = configuration_pb2.SubscribeConfigurationRequest(
        store_name="runtime-config", keys=keys
    )
    call = dapr.SubscribeConfiguration(request)
    assert (await asyncio.wait_for(call.read(), SECONDS)).id
    yield call
    call.cancel()


def state_file(data_dir: Path) -> Path:
    return DataFiles(data_dir, "shop").state


def delete(data_dir: Path, pattern: str) -> None:
    for file in data_dir.glob(pattern):
        file.unlink()


async def test_while_the_state_is_locked_a_write_waits_and_a_read_does_not(
    dapr: Any, data_dir: Path
) -> None:
    await save(dapr, "before")
    with locked(state_file(data_dir)):
        saving = asyncio.ensure_future(save(dapr, "waits"))
        done, _ = await asyncio.wait({saving}, timeout=1.0)
        assert not done
        assert (await get(dapr, "before")).data == b"1"
    await asyncio.wait_for(saving, SECONDS)
    assert (await get(dapr, "waits")).data == b"1"


async def test_a_write_that_was_given_up_is_not_done_later(dapr: Any, data_dir: Path) -> None:
    with locked(state_file(data_dir)):
        first = asyncio.ensure_future(save(dapr, "first"))
        await asyncio.wait({first}, timeout=0.5)
        request = state_pb2.SaveStateRequest(
            store_name="statestore", states=[common_pb2.StateItem(key="late", value=b"1")]
        )
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await dapr.SaveState(request, timeout=0.5)
        assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(first, SECONDS)
    await save(dapr, "after")
    assert (await get(dapr, "late")).data == b""


async def test_a_locked_configuration_is_read_and_its_change_is_told(
    dapr: Any, data_dir: Path, store: ConfigurationFile
) -> None:
    store.write({"role": "a"})
    async with subscribed(dapr, "role") as call:
        with locked(configuration_file(data_dir)) as connection:
            request = configuration_pb2.GetConfigurationRequest(
                store_name="runtime-config", keys=["role"]
            )
            assert (await dapr.GetConfiguration(request)).items["role"].value == "a"
            connection.execute("UPDATE configuration SET value = 'b'")
            connection.execute("COMMIT")
        assert (await asyncio.wait_for(call.read(), SECONDS)).items["role"].value == "b"


@pytest.mark.parametrize("deleted", ["configuration.db*", "configuration.db"])
async def test_a_configuration_file_that_is_deleted_is_begun_anew(
    dapr: Any, data_dir: Path, store: ConfigurationFile, deleted: str
) -> None:
    store.write({"role": "a"})
    async with subscribed(dapr, "role") as call:
        delete(data_dir, deleted)
        store.write({"role": "b"})
        told = await asyncio.wait_for(call.read(), SECONDS)
        while told.items["role"].value != "b":  # first, that it is gone
            told = await asyncio.wait_for(call.read(), SECONDS)


async def test_a_state_file_that_is_deleted_is_refused_by_name(dapr: Any, data_dir: Path) -> None:
    state_file(data_dir).unlink()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await save(dapr, "a")
    assert "state.db was deleted or replaced" in (refused.value.details() or "")


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
async def test_a_full_disk_is_said_and_with_room_it_goes_on(
    dapr: Any, sidecar: SidecarChild, data_dir: Path
) -> None:
    await save(dapr, "before")
    used = (state_file(data_dir).with_name("state.db-wal")).stat().st_size
    # No file of the sidecar may grow above this: the nearest to a full disk that needs no root.
    resource.prlimit(sidecar.pid, resource.RLIMIT_FSIZE, (used + 100_000, resource.RLIM_INFINITY))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await save(dapr, "large", b"x" * 1_000_000)
    assert refused.value.code() == grpc.StatusCode.INTERNAL
    assert "make room on the disk" in (refused.value.details() or "")
    assert (await get(dapr, "before")).data == b"1"
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(sidecar.pid, resource.RLIMIT_FSIZE, unlimited)
    await save(dapr, "large", b"x" * 1_000_000)
    assert len((await get(dapr, "large")).data) == 1_000_000


def test_a_folder_that_cannot_be_written_is_named(
    start_sidecar: StartSidecar, data_dir: Path
) -> None:
    data_dir.write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match=r"data.* cannot be written .*--data-dir"):
        start_sidecar()


def test_a_file_of_another_program_is_named(start_sidecar: StartSidecar, data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)
    configuration_file(data_dir).write_bytes(b"something else altogether " * 100)
    with pytest.raises(Unavailable, match=r"configuration\.db cannot be used .*move it away"):
        start_sidecar()


async def test_with_open_streams_it_ends_at_once_and_in_order(
    dapr: Any, sidecar: SidecarChild
) -> None:
    async with subscribed(dapr, "role") as call:
        stopping = asyncio.create_task(asyncio.to_thread(sidecar.stop, within_seconds=STOP_SECONDS))
        assert await asyncio.wait_for(call.read(), SECONDS) is grpc.aio.EOF
        assert await call.code() == grpc.StatusCode.OK
        assert await stopping == 0


async def test_what_was_saved_is_there_after_a_start_on_the_same_folder(
    start_sidecar: StartSidecar, open_stub: Any
) -> None:
    first = start_sidecar()
    await save(open_stub(first), "k")
    first.stop(within_seconds=STOP_SECONDS)
    assert (await get(open_stub(start_sidecar()), "k")).data == b"1"
