"""The course of a rollout and its activities, as the Dapr workflow SDK wants them; only translation."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any, Final, Protocol

import dapr.ext.workflow._durabletask.internal.protos as pb
import grpc
from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext, WorkflowRuntime
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2_grpc import (
    TaskHubSidecarServiceStub,
)
from google.protobuf import wrappers_pb2

from retunable.agent.loop.workflow import drive
from retunable.control.rollouts.course import (
    ACT,
    JUDGE,
    PUBLISH,
    WORKFLOW,
    WORKFLOW_VERSION,
    course,
)
from retunable.control.rollouts.sdk_runtime import Runtime, quiet_sdk_logs
from retunable.errors import Unavailable
from retunable.live.sidecar import channel, endpoint_from_environment

START_SECONDS: Final = 10.0

# A generated class without annotations.
_WORKFLOWS: Any = TaskHubSidecarServiceStub
_GOING_ON: Final = (
    pb.ORCHESTRATION_STATUS_RUNNING,
    pb.ORCHESTRATION_STATUS_PENDING,
    pb.ORCHESTRATION_STATUS_SUSPENDED,
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW,
)


class Activities(Protocol):
    """What the runtime dispatches to; they block."""

    def publish(self, data: Mapping[str, Any]) -> dict[str, Any]: ...

    def judge(self, data: Mapping[str, Any]) -> dict[str, Any]: ...

    def act(self, data: Mapping[str, Any]) -> dict[str, Any]: ...


def new_runtime(activities: Activities) -> Runtime:
    """Return a runtime with everything registered, not started.

    The SDK marks what it registered, so each runtime gets functions of its own.
    """
    sdk = WorkflowRuntime(logger_options=quiet_sdk_logs())

    def workflow(ctx: DaprWorkflowContext, data: dict) -> Generator[Any, Any, Any]:  # type: ignore[type-arg]
        return follow(ctx, data)

    def publish(ctx: WorkflowActivityContext, data: dict) -> Any:  # type: ignore[type-arg]
        del ctx
        return activities.publish(data)

    def judge(ctx: WorkflowActivityContext, data: dict) -> Any:  # type: ignore[type-arg]
        del ctx
        return activities.judge(data)

    def act(ctx: WorkflowActivityContext, data: dict) -> Any:  # type: ignore[type-arg]
        del ctx
        return activities.act(data)

    sdk.register_versioned_workflow(
        workflow, name=WORKFLOW, version_name=WORKFLOW_VERSION, is_latest=True
    )
    sdk.register_activity(publish, name=PUBLISH)
    sdk.register_activity(judge, name=JUDGE)
    sdk.register_activity(act, name=ACT)
    return Runtime(sdk)


def follow(ctx: DaprWorkflowContext, data: Mapping[str, Any]) -> Generator[Any, Any, Any]:
    """Run a rollout's course on a workflow context."""
    return drive(ctx, course(data))


class Starter:
    """Starts a workflow for each rollout, on the event loop on which it is made."""

    def __init__(self) -> None:
        endpoint = endpoint_from_environment()
        self._token = endpoint.metadata
        self._channel = channel(endpoint)
        self._service = _WORKFLOWS(self._channel)

    async def start(self, rollout: str) -> None:
        """Start the workflow of a rollout that has none going on.

        Raises:
            Unavailable: the sidecar or its workflow engine is away.
        """
        name = f"rollout-{rollout}"
        request = pb.CreateInstanceRequest(
            name=WORKFLOW,
            instanceId=name,
            input=wrappers_pb2.StringValue(value=json.dumps({"rollout": rollout})),
        )
        try:
            known = await self._service.GetInstance(
                pb.GetInstanceRequest(instanceId=name, getInputsAndOutputs=False),
                timeout=START_SECONDS,
                metadata=self._token,
            )
            if known.exists and known.workflowState.workflowStatus in _GOING_ON:
                return
            await self._service.StartInstance(request, timeout=START_SECONDS, metadata=self._token)
        except grpc.aio.AioRpcError as error:
            said = error.details() or error.code().name.lower()
            raise Unavailable(f"no workflow is started: {said}", part="component") from error

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close(grace=None)
