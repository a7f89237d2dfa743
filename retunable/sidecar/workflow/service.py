"""Dapr's workflow service over gRPC: messages in and out, errors with daprd's codes and words.

Every method of the SDK's own description of the service is either served or refused by name, so
that a newer SDK meets a clear answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message_factory import GetMessageClass

from retunable.errors import DatabaseUnavailable
from retunable.sidecar.api.service import USE_DAPR
from retunable.sidecar.database import Database
from retunable.sidecar.workflow import descriptions, events, operations
from retunable.sidecar.workflow.changes import Why
from retunable.sidecar.workflow.events import Text
from retunable.sidecar.workflow.instance import Status, TaskToken, TurnToken
from retunable.sidecar.workflow.protos import pb
from retunable.sidecar.workflow.rerun import ForkRequest
from retunable.sidecar.workflow.workflows import Change, Workflows

_SERVICE: Final[Any] = pb.DESCRIPTOR.services_by_name["TaskHubSidecarService"]

START_WAIT_SECONDS: Final = 1.0
"""How long starting waits for the first turn, as daprd does without end."""

LISTED_AT_ONCE: Final = 1024

_CODES: Final[Mapping[Why, grpc.StatusCode]] = {
    "unknown": grpc.StatusCode.UNKNOWN,
    "not found": grpc.StatusCode.NOT_FOUND,
    "already exists": grpc.StatusCode.ALREADY_EXISTS,
    "invalid": grpc.StatusCode.INVALID_ARGUMENT,
}

Context = Any  # grpc.aio.ServicerContext is generic in its stubs only


class WorkflowService:
    """Serves the workers and clients of one app; the methods in capitals are Dapr's RPCs.

    ``database`` is open with ``schema.SCHEMA``.
    """

    def __init__(self, *, database: Database, app_id: str, **settings: Any) -> None:
        self._workflows = Workflows(database=database, app_id=app_id, **settings)
        self._dispatcher = self._workflows.dispatcher
        self._going_away = False

    @property
    def connected_workers(self) -> int:
        """Tell how many workers are connected."""
        return self._dispatcher.workers

    def add_to(self, server: grpc.aio.Server) -> None:
        """Have a server answer every RPC of the service."""
        handlers = {method.name: self._handler(method) for method in _SERVICE.methods}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),)
        )

    async def start(self) -> None:
        """Go on with what the database holds.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """
        await self._workflows.start()

    async def stop(self, grace_seconds: float) -> None:
        """Give nothing out any more, wait a while for results that are due, and end the streams."""
        self._dispatcher.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._dispatcher.idle()
        # A worker whose stream ends while Hello works comes back at once, again and again.
        self._going_away = True
        self._dispatcher.end_streams()
        await self._workflows.stop()

    async def Hello(self, request: Empty, context: Context) -> Empty:  # noqa: N802
        """Tell a worker that it may come; not while the sidecar goes away."""
        del request
        if self._going_away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the sidecar is stopping")
        return Empty()

    async def GetWorkItems(  # noqa: N802
        self, request: pb.GetWorkItemsRequest, context: Context
    ) -> AsyncIterator[pb.WorkItem]:
        """Give a worker work for as long as it is connected."""
        if self._going_away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the sidecar is stopping")
        keeps = pb.WORKER_CAPABILITY_STATEFUL_HISTORY in request.capabilities
        stream = await self._workflows.open_stream(keeps_histories=keeps)
        try:
            while (item := await stream.next()) is not None:
                yield item
        finally:
            self._dispatcher.close(stream)

    async def CompleteOrchestratorTask(  # noqa: N802
        self, request: pb.WorkflowResponse, context: Context
    ) -> pb.CompleteTaskResponse:
        """Take a turn's answer."""
        token = TurnToken.parse(request.completionToken)
        if token is None:
            await _abort_malformed(context, request.completionToken)
        else:
            await self._workflows.complete_turn(token, request)
        return pb.CompleteTaskResponse()

    CompleteWorkflowTask = CompleteOrchestratorTask

    async def CompleteActivityTask(  # noqa: N802
        self, request: pb.ActivityResponse, context: Context
    ) -> pb.CompleteTaskResponse:
        """Take an activity's result."""
        token = TaskToken.parse(request.completionToken)
        if token is None:
            await _abort_malformed(context, request.completionToken)
        else:
            await self._workflows.complete_task(token, request)
        return pb.CompleteTaskResponse()

    async def StartInstance(  # noqa: N802
        self, request: pb.CreateInstanceRequest, context: Context
    ) -> pb.CreateInstanceResponse:
        """Start an instance; return when its first turn is over, if that is soon."""
        request.instanceId = request.instanceId or str(uuid4())
        app_id, now = self._workflows.app_id, self._workflows.now()
        delayed = request.HasField("scheduledStartTimestamp")
        await self._begin(
            context,
            request.instanceId,
            lambda c: operations.start(c, request, app_id=app_id, now=now),
            wait=not delayed,
        )
        return pb.CreateInstanceResponse(instanceId=request.instanceId)

    async def RerunWorkflowFromEvent(  # noqa: N802
        self, request: pb.RerunWorkflowFromEventRequest, context: Context
    ) -> pb.RerunWorkflowFromEventResponse:
        """Start an instance from the middle of another one's history."""
        has_child = request.HasField("newChildWorkflowInstanceID")
        wanted = ForkRequest(
            source_id=request.sourceInstanceID,
            event_id=request.eventID,
            new_id=request.newInstanceID or str(uuid4()),
            overwrite_input=request.overwriteInput,
            input=request.input if request.HasField("input") else None,
            new_child_id=request.newChildWorkflowInstanceID if has_child else None,
        )
        app_id, now = self._workflows.app_id, self._workflows.now()
        await self._change(context, lambda c: operations.rerun(c, wanted, app_id=app_id, now=now))
        return pb.RerunWorkflowFromEventResponse(newInstanceID=wanted.new_id)

    async def GetInstance(  # noqa: N802
        self, request: pb.GetInstanceRequest, context: Context
    ) -> pb.GetInstanceResponse:
        """Return an instance as it is now."""
        del context
        found = await self._workflows.describe(request.instanceId)
        return descriptions.response(found, payloads=request.getInputsAndOutputs)

    async def WaitForInstanceStart(  # noqa: N802
        self, request: pb.GetInstanceRequest, context: Context
    ) -> pb.GetInstanceResponse:
        """Return an instance when its first turn is over."""
        del context
        found = await self._workflows.wait(
            request.instanceId, lambda status: status is not Status.PENDING
        )
        return descriptions.response(found, payloads=request.getInputsAndOutputs)

    async def WaitForInstanceCompletion(  # noqa: N802
        self, request: pb.GetInstanceRequest, context: Context
    ) -> pb.GetInstanceResponse:
        """Return an instance when it is over."""
        del context
        found = await self._workflows.wait(request.instanceId, lambda status: status.finished)
        return descriptions.response(found, payloads=request.getInputsAndOutputs)

    async def RaiseEvent(  # noqa: N802
        self, request: pb.RaiseEventRequest, context: Context
    ) -> pb.RaiseEventResponse:
        """Give an instance an event."""
        now, data = self._workflows.now(), _text(request, "input")
        await self._change(
            context,
            lambda c: operations.raise_event(
                c, request.instanceId, name=request.name, input=data, now=now
            ),
        )
        return pb.RaiseEventResponse()

    async def TerminateInstance(  # noqa: N802
        self, request: pb.TerminateRequest, context: Context
    ) -> pb.TerminateResponse:
        """End an instance."""
        now, output = self._workflows.now(), _text(request, "output")
        await self._change(
            context,
            lambda c: operations.terminate(
                c, request.instanceId, output=output, recurse=request.recursive, now=now
            ),
        )
        return pb.TerminateResponse()

    async def SuspendInstance(  # noqa: N802
        self, request: pb.SuspendRequest, context: Context
    ) -> pb.SuspendResponse:
        """Let an instance take nothing until it is resumed."""
        now, reason = self._workflows.now(), _text(request, "reason")
        await self._change(
            context,
            lambda c: operations.suspend(c, request.instanceId, reason=reason, now=now),
        )
        return pb.SuspendResponse()

    async def ResumeInstance(  # noqa: N802
        self, request: pb.ResumeRequest, context: Context
    ) -> pb.ResumeResponse:
        """Let a suspended instance go on."""
        now, reason = self._workflows.now(), _text(request, "reason")
        await self._change(
            context,
            lambda c: operations.resume(c, request.instanceId, reason=reason, now=now),
        )
        return pb.ResumeResponse()

    async def PurgeInstances(  # noqa: N802
        self, request: pb.PurgeInstancesRequest, context: Context
    ) -> pb.PurgeInstancesResponse:
        """Forget an ended instance."""
        if request.HasField("purgeInstanceFilter"):
            what = "PurgeInstances with a filter"
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, USE_DAPR.format(rpc=what))
        purged: list[int] = []
        await self._change(
            context,
            lambda c: operations.purge(
                c,
                request.instanceId,
                recurse=request.recursive,
                force=request.force,
                purged=purged,
            ),
        )
        return pb.PurgeInstancesResponse(deletedInstanceCount=len(purged))

    async def ListInstanceIDs(  # noqa: N802
        self, request: pb.ListInstanceIDsRequest, context: Context
    ) -> pb.ListInstanceIDsResponse:
        """Return a page of all instances' ids."""
        after = request.continuationToken or "0"
        if not after.isdecimal():
            await _abort_malformed(context, after)
        limit = min(request.pageSize or LISTED_AT_ONCE, LISTED_AT_ONCE)
        page = await self._workflows.page(after=int(after), limit=limit)
        response = pb.ListInstanceIDsResponse(instanceIds=[id_ for _, id_ in page])
        if len(page) == limit:
            response.continuationToken = str(page[-1][0])
        return response

    async def GetInstanceHistory(  # noqa: N802
        self, request: pb.GetInstanceHistoryRequest, context: Context
    ) -> pb.GetInstanceHistoryResponse:
        """Return the events of an instance's present history."""
        found = await self._workflows.history(request.instanceId)
        if found is None:
            await context.abort(
                grpc.StatusCode.NOT_FOUND, f"workflow instance '{request.instanceId}' not found"
            )
        stored = found or ()
        return pb.GetInstanceHistoryResponse(events=[events.read(one) for one in stored])

    async def _begin(
        self, context: Context, instance_id: str, change: Change, *, wait: bool
    ) -> None:
        async with self._workflows.watch(instance_id) as seen:
            await self._change(context, change)
            if not wait or not self.connected_workers:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(START_WAIT_SECONDS):
                    while await seen.get() is Status.PENDING:
                        pass

    async def _change(self, context: Context, change: Change) -> None:
        refusal = await self._workflows.change(change)
        if refusal is not None:
            await context.abort(_CODES[refusal.why], refusal.message)

    def _handler(self, method: MethodDescriptor) -> Any:
        served = getattr(self, method.name, None)
        make = (
            grpc.unary_stream_rpc_method_handler
            if method.server_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        behaviour = _refused(method.name) if served is None else served
        if not method.server_streaming:
            behaviour = _told_as_unavailable(behaviour)
        return make(
            behaviour,
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )


def _refused(rpc: str) -> Callable[[Any, Context], Any]:
    async def refused(request: Any, context: Context) -> None:
        del request
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, USE_DAPR.format(rpc=rpc))

    return refused


def _told_as_unavailable(serve: Callable[[Any, Context], Any]) -> Callable[[Any, Context], Any]:
    async def told(request: Any, context: Context) -> Any:
        try:
            return await serve(request, context)
        except DatabaseUnavailable as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))

    return told


async def _abort_malformed(context: Context, token: str) -> None:
    await context.abort(
        grpc.StatusCode.INVALID_ARGUMENT,
        f"token {token!r} was not given by this sidecar; send back the one of the work item",
    )


def _text(request: Any, field: str) -> Text:
    return getattr(request, field) if request.HasField(field) else None
