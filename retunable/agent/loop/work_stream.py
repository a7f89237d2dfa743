"""The stream on which a sidecar hands out work: turns are taken and activities run where it is read.

On the agent's own event loop, without a thread: the SDK's worker passes an activity through five
threads, and with it a run of 61 activities took 1.3 times a bare one's time. A sidecar that goes
away is asked again until it is back; what was under way it hands out again, and records win.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, Protocol

import dapr.ext.workflow._durabletask.internal.protos as pb
import grpc
from dapr.ext.workflow._durabletask.internal.helpers import new_failure_details
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2_grpc import (
    TaskHubSidecarServiceStub,
)
from google.protobuf import wrappers_pb2

from retunable.agent.loop.turn import MODEL_STEP, TOOL_CALL
from retunable.agent.loop.workflow import Turns
from retunable.live.sidecar import channel, endpoint_from_environment

_log = logging.getLogger("retunable")

FIRST_PAUSE_SECONDS: Final = 0.1
LAST_PAUSE_SECONDS: Final = 1.0
SEND_SECONDS: Final = 30.0
"""How long a result waits for a sidecar that is away; one that comes back later asks again."""
DRAIN_SECONDS: Final = 1.0

# A generated class without annotations.
_WORKFLOWS: Any = TaskHubSidecarServiceStub

Activity = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


class Activities(Protocol):
    """What the stream dispatches to."""

    async def model_step(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Run one model step of the agent that ``data`` names."""

    async def tool_call(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Run one tool call of the agent that ``data`` names."""


class WorkStream:
    """The work of one sidecar, on the running event loop, until it is closed."""

    def __init__(self, activities: Activities) -> None:
        self._activities: dict[str, Activity] = {
            MODEL_STEP: activities.model_step,
            TOOL_CALL: activities.tool_call,
        }
        self._turns = Turns()
        endpoint = endpoint_from_environment()
        self._token = endpoint.metadata
        self._channel = channel(endpoint)
        self._service = _WORKFLOWS(self._channel)
        self._running: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()

    async def read(self) -> None:
        """Take work for ever."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async for item in self._service.GetWorkItems(_CAPABLE, metadata=self._token):
                    pause = FIRST_PAUSE_SECONDS
                    self._take(item)
            except grpc.aio.AioRpcError as error:
                _log.debug("the sidecar hands out no work: %s", error.code().name.lower())
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    async def drain(self) -> None:
        """Wait a moment until the results that are there are sent: the sidecar takes none later."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=DRAIN_SECONDS)

    async def close(self) -> None:
        """Cancel what runs, and take no work any more."""
        left = self._running | self._sending
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._channel.close(grace=None)

    def _take(self, item: Any) -> None:
        match item.WhichOneof("request"):
            case "workflowRequest":
                turn = self._turns.take(item.workflowRequest, token=item.completionToken)
                self._begin(self._sending, self._send(self._service.CompleteOrchestratorTask, turn))
            case "activityRequest":
                request, token = item.activityRequest, item.completionToken
                self._begin(self._running, self._run(request, token))

    def _begin(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _run(self, request: pb.ActivityRequest, token: str) -> None:
        """Run an activity and hand its result in; nothing is said of one that is cancelled."""
        response = pb.ActivityResponse(
            instanceId=request.workflowInstance.instanceId,
            taskId=request.taskId,
            completionToken=token,
        )
        try:
            result = await self._activities[request.name](json.loads(request.input.value))
        except Exception as error:  # noqa: BLE001 - a seam: the workflow fails with what it raised
            _log.exception("activity %s failed", request.name)
            response.failureDetails.CopyFrom(new_failure_details(error))
        else:
            text = json.dumps(result, separators=(",", ":"))
            response.result.CopyFrom(wrappers_pb2.StringValue(value=text))
        self._begin(self._sending, self._send(self._service.CompleteActivityTask, response))

    async def _send(self, method: Any, response: Any) -> None:
        """Hand a result in; a sidecar that refuses it has no use for it, or asks again."""
        loop = asyncio.get_running_loop()
        until = loop.time() + SEND_SECONDS
        while (left := until - loop.time()) > 0:
            try:
                await method(response, timeout=left, metadata=self._token, wait_for_ready=True)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    _log.debug("the sidecar refuses a result: %s", error.details())
                    return
                await asyncio.sleep(FIRST_PAUSE_SECONDS)
            else:
                return


# Not WORKER_CAPABILITY_STATEFUL_HISTORY: a history of ours is short, and a whole one needs no cache.
_CAPABLE: Final = pb.GetWorkItemsRequest(capabilities=[pb.WORKER_CAPABILITY_HEALTH_PING])
