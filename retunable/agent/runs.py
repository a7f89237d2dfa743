"""Starting runs at the sidecar and waiting for them, with a deadline on every call.

Speaks the workflow service's protocol on our own channel: the SDK's async client cannot be
closed, sets no deadline when it starts a run, and takes a second to reconnect.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping
from typing import Any, Final

import dapr.ext.workflow._durabletask.internal.protos as pb
import grpc
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2_grpc import (
    TaskHubSidecarServiceStub,
)
from dapr.proto.runtime.v1 import dapr_pb2_grpc, metadata_pb2
from google.protobuf import wrappers_pb2

from retunable.agent.records import RunResult, TurnInput, run_result
from retunable.agent.sidecar_parts import SidecarParts
from retunable.agent.turn import WORKFLOW
from retunable.errors import RunFailed, RunTimeout, Unavailable
from retunable.live.sidecar import channel, endpoint_from_environment

PROBE_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 5.0
"""How long a run waits for a part that a sidecar connects just after its own start (1.5 s seen)."""
SCHEDULE_SECONDS: Final = 10.0
WAIT_SECONDS: Final = 30.0
"""One wait; after it the question is put again, for a hung sidecar never answers the first."""
RETRY_SECONDS: Final = 0.2

# Generated classes without annotations.
_DAPR: Any = dapr_pb2_grpc.DaprStub
_WORKFLOWS: Any = TaskHubSidecarServiceStub

_GONE_FOR_NOW = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.FAILED_PRECONDITION,  # a restarted daprd that placement has not told yet
)


class Runs:
    """Starts and awaits the runs of one agent, on one event loop."""

    def __init__(self) -> None:
        endpoint = endpoint_from_environment()
        self._token = endpoint.metadata
        self._channel = channel(endpoint)
        self._sidecar = _DAPR(self._channel)
        self._workflows = _WORKFLOWS(self._channel)
        self._closed = False

    async def run(self, turn: TurnInput, *, deadline: float | None) -> RunResult:
        """Start a run and wait for its answer; ``deadline`` is in seconds from now.

        Raises:
            Unavailable: the sidecar or a part behind it is away; nothing was started.
            RunFailed: the run ended without an answer.
            RunTimeout: the deadline passed; the run goes on.
        """
        until = math.inf if deadline is None else time.monotonic() + deadline
        await self._check_parts(until)
        await self._start(turn, until)
        return _read_answer(turn.run_id, await self._end_of(turn.run_id, until))

    async def close(self) -> None:
        """Close the channel; whoever waits for a run is told that it goes on."""
        self._closed = True
        await self._channel.close(grace=None)

    async def _check_parts(self, until: float) -> None:
        settled = min(until, time.monotonic() + SETTLE_SECONDS)
        while (missing := (await self._parts()).missing()) is not None:
            if time.monotonic() >= settled:
                raise missing
            await asyncio.sleep(0.1)

    async def _parts(self) -> SidecarParts:
        request = metadata_pb2.GetMetadataRequest()
        try:
            reply = await self._sidecar.GetMetadata(
                request, timeout=PROBE_SECONDS, metadata=self._token
            )
        except grpc.aio.AioRpcError as error:
            raise _sidecar_away(error) from error
        return SidecarParts(
            placement=reply.actor_runtime.host_ready,
            scheduler=bool(reply.scheduler.connected_addresses),
            actor_state_store=any("ACTOR" in c.capabilities for c in reply.registered_components),
            workers=reply.workflows.connected_workers,
        )

    async def _start(self, turn: TurnInput, until: float) -> None:
        request = pb.CreateInstanceRequest(
            name=WORKFLOW,
            instanceId=turn.run_id,
            input=wrappers_pb2.StringValue(value=json.dumps(turn.to_json())),
        )
        seconds = min(SCHEDULE_SECONDS, max(until - time.monotonic(), 0))
        try:
            await self._workflows.StartInstance(request, timeout=seconds, metadata=self._token)
        except grpc.aio.AioRpcError as error:
            if error.code() in _GONE_FOR_NOW:
                raise await self._why_not_taken(error) from error
            reason = error.details() or error.code().name.lower()
            message = f"run {turn.run_id} could not be started: {reason}"
            raise RunFailed(message, run_id=turn.run_id, reason=reason) from error

    async def _why_not_taken(self, error: grpc.aio.AioRpcError) -> Unavailable:
        """Name the part that went away since it was asked; daprd itself only stays silent."""
        missing = (await self._parts()).missing()
        return missing or Unavailable(
            f"the sidecar did not take the run ({error.code().name.lower()}); it may still start",
            part="sidecar",
        )

    async def _end_of(self, run_id: str, until: float) -> pb.GetInstanceResponse:
        request = pb.GetInstanceRequest(instanceId=run_id, getInputsAndOutputs=True)
        while (left := until - time.monotonic()) > 0:
            try:
                reply: pb.GetInstanceResponse = await self._workflows.WaitForInstanceCompletion(
                    request, timeout=min(WAIT_SECONDS, left), metadata=self._token
                )
            except grpc.aio.AioRpcError as error:
                if error.code() not in _GONE_FOR_NOW:
                    raise _failed(run_id, error.details() or error.code().name.lower()) from error
                await asyncio.sleep(RETRY_SECONDS)
            except asyncio.CancelledError:
                # A closed channel cancels its calls; that is not the caller's cancellation.
                task = asyncio.current_task()
                if not self._closed or (task is not None and task.cancelling()):
                    raise
                message = f"the agent was stopped; run {run_id} goes on when it is started again"
                raise RunTimeout(message, run_id=run_id) from None
            else:
                return reply
        raise RunTimeout(f"run {run_id} goes on beyond the deadline of its caller", run_id=run_id)


def _read_answer(run_id: str, reply: pb.GetInstanceResponse) -> RunResult:
    state = reply.workflowState
    if not reply.exists:
        raise _failed(run_id, "the sidecar no longer knows it (was its state store emptied?)")
    if state.workflowStatus == pb.ORCHESTRATION_STATUS_COMPLETED:
        outcome: Mapping[str, Any] = json.loads(state.output.value)
        if outcome["outcome"] == "finished":
            return run_result(run_id, outcome)
        raise _failed(run_id, outcome["reason"])
    status = pb.OrchestrationStatus.Name(state.workflowStatus).rpartition("_")[2].lower()
    raise _failed(run_id, state.failureDetails.errorMessage or status)


def _failed(run_id: str, reason: str) -> RunFailed:
    return RunFailed(f"run {run_id} failed: {reason}", run_id=run_id, reason=reason)


def _sidecar_away(error: grpc.aio.AioRpcError) -> Unavailable:
    return Unavailable(
        f"the Dapr sidecar does not answer ({error.code().name.lower()}); "
        "start the program with `dapr run`",
        part="sidecar",
    )
