"""The service over gRPC in this process, with a worker that a test moves step by step."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from dapr.ext.workflow._durabletask.internal import protos as pb
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2_grpc import (
    TaskHubSidecarServiceStub,
)
from google.protobuf import empty_pb2, timestamp_pb2

from retunable.sidecar.api.grpc_server import bind, make_grpc_server
from retunable.sidecar.database import Database
from retunable.sidecar.workflow import schema
from retunable.sidecar.workflow.service import WorkflowService

SECONDS = 30
HOUR = 3_600 * 1_000_000_000


class Clock:
    """The machine's clock, put forward or back by a test."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead


class Worker:
    """One work item stream, and the answers to what comes on it."""

    def __init__(self, stub: Any) -> None:
        self.stub = stub
        self._stream = stub.GetWorkItems(pb.GetWorkItemsRequest())

    async def next(self) -> pb.WorkItem:
        async with asyncio.timeout(SECONDS):
            item = await self._stream.read()
        assert isinstance(item, pb.WorkItem), "the stream ended"
        return item

    async def ended(self) -> bool:
        async with asyncio.timeout(SECONDS):
            return await self._stream.read() is grpc.aio.EOF

    async def answer(self, item: pb.WorkItem, *actions: pb.WorkflowAction) -> None:
        response = pb.WorkflowResponse(
            instanceId=item.workflowRequest.instanceId,
            actions=actions,
            completionToken=item.completionToken,
        )
        await self.stub.CompleteOrchestratorTask(response, timeout=SECONDS)


@asynccontextmanager
async def serving(path: Path, **settings: Any) -> AsyncIterator[tuple[WorkflowService, Any]]:
    database = Database.open(path, [schema.SCHEMA])
    service = WorkflowService(database=database, app_id="app", **settings)
    server = make_grpc_server(api_token=None)
    service.add_to(server)
    port = bind(server, 0)
    await service.start()
    await server.start()
    stub: Any = TaskHubSidecarServiceStub
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield service, stub(channel)
    finally:
        await service.stop(grace_seconds=0.0)
        await server.stop(grace=0.5)
        database.close()


async def started(stub: Any, instance_id: str = "w") -> None:
    request = pb.CreateInstanceRequest(instanceId=instance_id, name="w")
    await stub.StartInstance(request, timeout=SECONDS)


def call(number: int) -> pb.WorkflowAction:
    return pb.WorkflowAction(id=number, scheduleTask=pb.ScheduleTaskAction(name="a"))


def timer(number: int, *, at: int) -> pb.WorkflowAction:
    fire_at = timestamp_pb2.Timestamp()
    fire_at.FromNanoseconds(at)
    return pb.WorkflowAction(id=number, createTimer=pb.CreateTimerAction(fireAt=fire_at))


async def with_activity_out(stub: Any) -> tuple[Worker, pb.WorkItem]:
    worker = Worker(stub)
    await started(stub)
    await worker.answer(await worker.next(), call(1))
    item = await worker.next()
    assert item.HasField("activityRequest")
    return worker, item


def result_of(item: pb.WorkItem) -> pb.ActivityResponse:
    return pb.ActivityResponse(instanceId="w", taskId=1, completionToken=item.completionToken)


async def test_going_away_ends_the_streams_and_fails_hello(tmp_path: Path) -> None:
    async with serving(tmp_path / "state.db") as (service, stub):
        worker = Worker(stub)
        await started(stub)
        await worker.answer(await worker.next())
        await stub.Hello(empty_pb2.Empty(), timeout=SECONDS)
        await service.stop(grace_seconds=0.0)
        assert await worker.ended()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Hello(empty_pb2.Empty(), timeout=SECONDS)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.GetWorkItems(pb.GetWorkItemsRequest()).read()


async def test_a_result_that_is_due_is_awaited_before_going_away(tmp_path: Path) -> None:
    async with serving(tmp_path / "state.db") as (service, stub):
        _, item = await with_activity_out(stub)
        stopping = asyncio.create_task(service.stop(grace_seconds=SECONDS))
        await asyncio.sleep(0)
        await stub.CompleteActivityTask(result_of(item), timeout=SECONDS)
        async with asyncio.timeout(SECONDS / 2):
            await stopping


async def test_a_result_from_before_a_restart_is_taken_and_its_activity_not_run_again(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path / "state.db") as (_, stub):
        _, item = await with_activity_out(stub)
    async with serving(tmp_path / "state.db") as (_, stub):
        worker = Worker(stub)
        await stub.CompleteActivityTask(result_of(item), timeout=SECONDS)
        turn = (await worker.next()).workflowRequest
        assert [event.WhichOneof("eventType") for event in turn.newEvents] == [
            "workflowStarted",
            "taskCompleted",
        ]


async def test_an_activity_that_a_lost_worker_had_is_run_again_after_the_grace(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path / "state.db") as (_, stub):
        await with_activity_out(stub)
    async with serving(tmp_path / "state.db", grace_seconds=0.2) as (_, stub):
        assert (await Worker(stub).next()).HasField("activityRequest")


async def test_a_result_is_stored_though_its_sender_gave_up_while_the_file_was_locked(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.db"
    async with serving(path) as (_, stub):
        worker, item = await with_activity_out(stub)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(grpc.aio.AioRpcError) as gave_up:
                await stub.CompleteActivityTask(result_of(item), timeout=0.5)
            assert gave_up.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            other.execute("ROLLBACK")
        assert (await worker.next()).HasField("workflowRequest")


async def test_a_timer_comes_when_the_clock_is_put_forward(tmp_path: Path) -> None:
    clock = Clock()
    async with serving(tmp_path / "state.db", now=clock) as (_, stub):
        worker = Worker(stub)
        await started(stub)
        await worker.answer(await worker.next(), timer(1, at=clock() + HOUR))
        clock.ahead += 2 * HOUR
        assert (await worker.next()).workflowRequest.newEvents[1].HasField("timerFired")


async def test_a_timer_comes_in_its_time_when_the_clock_is_put_back(tmp_path: Path) -> None:
    clock = Clock()
    async with serving(tmp_path / "state.db", now=clock) as (_, stub):
        worker = Worker(stub)
        await started(stub)
        await worker.answer(await worker.next(), timer(1, at=clock() + 10**9))
        clock.ahead -= 24 * HOUR
        assert (await worker.next()).workflowRequest.newEvents[1].HasField("timerFired")


async def test_a_timer_comes_in_its_time_when_the_clock_was_put_back_while_nobody_ran(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with serving(tmp_path / "state.db", now=clock) as (_, stub):
        worker = Worker(stub)
        await started(stub)
        await worker.answer(await worker.next(), timer(1, at=clock() + 10**9))
        clock.ahead -= 24 * HOUR
    async with serving(tmp_path / "state.db", now=clock) as (_, stub):
        assert (await Worker(stub).next()).workflowRequest.newEvents[1].HasField("timerFired")


async def test_a_token_that_is_none_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path / "state.db") as (_, stub):
        for complete in (stub.CompleteActivityTask, stub.CompleteOrchestratorTask):
            message = pb.ActivityResponse if complete is stub.CompleteActivityTask else None
            request = message() if message else pb.WorkflowResponse()
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await complete(request, timeout=SECONDS)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_starting_returns_at_once_where_no_worker_is_connected(tmp_path: Path) -> None:
    async with serving(tmp_path / "state.db") as (service, stub):
        assert service.connected_workers == 0
        await started(stub)
        request = pb.GetInstanceRequest(instanceId="w")
        state = (await stub.GetInstance(request, timeout=SECONDS)).workflowState
        assert state.workflowStatus == pb.ORCHESTRATION_STATUS_PENDING


async def test_connected_workers_are_counted(tmp_path: Path) -> None:
    async with serving(tmp_path / "state.db") as (service, stub):
        await with_activity_out(stub)
        assert service.connected_workers == 1
