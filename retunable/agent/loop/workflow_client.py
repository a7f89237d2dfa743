"""Workflows at the sidecar: start, look, wait, terminate, purge, each with a deadline.

Speaks the workflow service's protocol on our own channel: the SDK's async client cannot be
closed, sets no deadline when it starts a run, and takes a second to reconnect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import dapr.ext.workflow._durabletask.internal.protos as pb
import grpc
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2_grpc import (
    TaskHubSidecarServiceStub,
)
from google.protobuf import wrappers_pb2

from retunable.agent.loop.turn import WORKFLOW
from retunable.agent.sidecar_link import SidecarLink
from retunable.agent.state.keys import StateKeys

CALL_SECONDS: Final = 5.0
START_SECONDS: Final = 10.0

# A generated class without annotations.
_WORKFLOWS: Any = TaskHubSidecarServiceStub

_GONE_FOR_NOW = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.FAILED_PRECONDITION,  # a restarted daprd that placement has not told yet
)


class Progress(Enum):
    """How far a workflow is."""

    ABSENT = "absent"
    GOES_ON = "goes on"
    COMPLETED = "completed"
    FAILED = "failed"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class WorkflowState:
    """A workflow as the sidecar knows it; ``failure`` is why it failed."""

    progress: Progress
    failure: str = ""


class SidecarBusy(Exception):
    """The sidecar did not take a call now; ``code`` is gRPC's. Another try may work."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SidecarRefused(Exception):
    """The sidecar took a call and refused it; another try does not help."""


class WorkflowClient:
    """The workflow service of one sidecar; every method raises SidecarBusy or SidecarRefused."""

    def __init__(self, link: SidecarLink, keys: StateKeys) -> None:
        self._keys = keys
        self._link = link
        self._service = _WORKFLOWS(link.channel)

    async def start(self, run_id: str, data: Mapping[str, Any], *, seconds: float) -> None:
        """Start a run's workflow; one that goes on already is left alone."""
        request = pb.CreateInstanceRequest(
            name=WORKFLOW,
            instanceId=self._keys.workflow(run_id),
            input=wrappers_pb2.StringValue(value=json.dumps(data)),
        )
        try:
            await self._call(self._service.StartInstance, request, min(START_SECONDS, seconds))
        except SidecarRefused:
            if (await self.look(run_id)).progress is Progress.ABSENT:
                raise

    async def look(self, run_id: str) -> WorkflowState:
        """Return how far a workflow is."""
        request = pb.GetInstanceRequest(
            instanceId=self._keys.workflow(run_id), getInputsAndOutputs=False
        )
        return _state(await self._call(self._service.GetInstance, request, CALL_SECONDS))

    async def wait(self, run_id: str, *, seconds: float) -> WorkflowState:
        """Return how a workflow ended."""
        request = pb.GetInstanceRequest(
            instanceId=self._keys.workflow(run_id), getInputsAndOutputs=False
        )
        return _state(await self._call(self._service.WaitForInstanceCompletion, request, seconds))

    async def terminate(self, run_id: str) -> None:
        """End a workflow, if it goes on."""
        request = pb.TerminateRequest(instanceId=self._keys.workflow(run_id), recursive=True)
        try:
            await self._call(self._service.TerminateInstance, request, CALL_SECONDS)
        except SidecarRefused:
            if (await self.look(run_id)).progress is Progress.GOES_ON:
                raise

    async def purge(self, run_id: str) -> None:
        """Erase the history of a workflow that is over; an absent one is fine."""
        request = pb.PurgeInstancesRequest(instanceId=self._keys.workflow(run_id), recursive=True)
        try:
            await self._call(self._service.PurgeInstances, request, CALL_SECONDS)
        except SidecarRefused:
            if (await self.look(run_id)).progress is not Progress.ABSENT:
                raise

    async def _call(self, method: Any, request: Any, seconds: float) -> Any:
        try:
            return await method(request, timeout=seconds, metadata=self._link.token)
        except grpc.aio.AioRpcError as error:
            if error.code() in _GONE_FOR_NOW:
                self._link.doubt()
                raise SidecarBusy(error.code().name.lower()) from error
            raise SidecarRefused(error.details() or error.code().name.lower()) from error


def _state(reply: Any) -> WorkflowState:
    if not reply.exists:
        return WorkflowState(Progress.ABSENT)
    state = reply.workflowState
    match state.workflowStatus:
        case pb.ORCHESTRATION_STATUS_COMPLETED:
            return WorkflowState(Progress.COMPLETED)
        case pb.ORCHESTRATION_STATUS_FAILED:
            return WorkflowState(Progress.FAILED, state.failureDetails.errorMessage)
        case pb.ORCHESTRATION_STATUS_TERMINATED | pb.ORCHESTRATION_STATUS_CANCELED:
            return WorkflowState(Progress.TERMINATED)
        case _:
            return WorkflowState(Progress.GOES_ON)
