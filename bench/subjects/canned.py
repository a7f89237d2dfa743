"""A workflow sidecar that decides nothing and stores nothing: the most that the SDK can do beside one.

It knows one kind of workflow, activities in sequence, and answers with the fewest steps in memory.
What it costs is gRPC in Python; what it leaves of a core to nobody is the SDK's worker.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message_factory import GetMessageClass

from retunable.sidecar.api.grpc_server import bind, make_grpc_server
from retunable.sidecar.workflow import events
from retunable.sidecar.workflow.protos import pb

SERVICE: Any = pb.DESCRIPTOR.services_by_name["TaskHubSidecarService"]


@dataclass(slots=True)
class Run:
    """One workflow: what the worker has not seen yet, how much it holds, the task it awaits."""

    id: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    past: list[Any] = field(default_factory=list)
    held: int = 0
    length: int = 0
    task: Any = None


class Canned:
    """The RPCs, by name."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._items: asyncio.Queue[pb.WorkItem] = asyncio.Queue()

    async def Hello(self, request: Any, context: Any) -> Empty:  # noqa: N802
        del request, context
        return Empty()

    async def GetWorkItems(self, request: Any, context: Any) -> Any:  # noqa: N802
        del request, context
        while True:
            yield await self._items.get()

    async def StartInstance(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        run = self._runs[request.instanceId] = Run(request.instanceId)
        started = events.execution_started(
            time.time_ns(),
            app_id="bench",
            instance_id=run.id,
            execution_id="1",
            name=request.name,
            input=request.input,
        )
        self._give_turn(run, started)
        return pb.CreateInstanceResponse(instanceId=run.id)

    async def WaitForInstanceCompletion(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        run = self._runs[request.instanceId]
        await run.ended.wait()
        del self._runs[run.id]
        state = pb.WorkflowState(
            instanceId=run.id, workflowStatus=pb.ORCHESTRATION_STATUS_COMPLETED
        )
        return pb.GetInstanceResponse(exists=True, workflowState=state)

    async def CompleteOrchestratorTask(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        run, action = self._runs[request.completionToken], request.actions[0]
        if action.HasField("completeWorkflow"):
            run.ended.set()
            return pb.CompleteTaskResponse()
        wanted = action.scheduleTask
        run.task = pb.HistoryEvent(
            eventId=action.id,
            timestamp=events.timestamp(time.time_ns()),
            taskScheduled=pb.TaskScheduledEvent(name=wanted.name, input=wanted.input),
        )
        run.past.append(run.task)
        run.length += len(run.past)
        activity = pb.ActivityRequest(
            name=wanted.name,
            input=wanted.input,
            taskId=action.id,
            workflowInstance=pb.WorkflowInstance(instanceId=run.id),
        )
        self._items.put_nowait(pb.WorkItem(activityRequest=activity, completionToken=run.id))
        return pb.CompleteTaskResponse()

    async def CompleteActivityTask(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        run = self._runs[request.completionToken]
        self._give_turn(run, events.task_completed(time.time_ns(), run.task, request.result))
        return pb.CompleteTaskResponse()

    def _give_turn(self, run: Run, event: Any) -> None:
        new = [events.workflow_started(time.time_ns()), event]
        turn = pb.WorkflowRequest(instanceId=run.id, pastEvents=run.past, newEvents=new)
        if run.length:
            turn.cachedHistory.eventCount = run.held
        run.held, run.past = run.length, new
        self._items.put_nowait(pb.WorkItem(workflowRequest=turn, completionToken=run.id))


def _handler(canned: Canned, name: str) -> Any:
    method = SERVICE.methods_by_name[name]
    make = (
        grpc.unary_stream_rpc_method_handler
        if method.server_streaming
        else grpc.unary_unary_rpc_method_handler
    )
    return make(
        getattr(canned, name),
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )


async def main() -> None:
    canned = Canned()
    names = [name for name in SERVICE.methods_by_name if hasattr(canned, name)]
    handlers = {name: _handler(canned, name) for name in names}
    server = make_grpc_server(api_token=None)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),)
    )
    port = bind(server, 0)
    await server.start()
    print(json.dumps({"grpc_port": port, "http_port": 0}), flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
