"""A turn of a run's workflow: what the sidecar hands over goes in, what the body asks for comes out.

Only translation: the body is ``turn``. It is replayed by the SDK's own executor, so that a history
means here what it means to every Dapr workflow. Where turns come from is ``work_stream``'s business.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from typing import Any, Final

import dapr.ext.workflow._durabletask.internal.protos as pb
from dapr.ext.workflow import when_all
from dapr.ext.workflow._durabletask.internal.helpers import new_failure_details

# The SDK has no public executor; a test replays recorded histories on this one.
from dapr.ext.workflow._durabletask.worker import _OrchestrationExecutor, _Registry

from retunable.agent.loop.turn import WORKFLOW, WORKFLOW_VERSION, Call, ContinueAsNew, turn

_log = logging.getLogger("retunable")


def new_registry() -> _Registry:
    """Return the bodies of every version that may still run, by name."""
    registry: _Registry = _Registry()  # type: ignore[no-untyped-call]
    registry.add_named_orchestrator(WORKFLOW, drive, version_name=WORKFLOW_VERSION, is_latest=True)
    return registry


def take_turn(request: pb.WorkflowRequest, *, token: str) -> pb.WorkflowResponse:
    """Return what the body does next, given its history and what happened since."""
    try:
        result = _OrchestrationExecutor(_REGISTRY, _sdk_log()).execute(
            request.instanceId, request.pastEvents, request.newEvents
        )
    except Exception as error:  # noqa: BLE001 - a seam: unanswered, the sidecar would ask for ever
        _log.exception("a turn of workflow %s failed", request.instanceId)
        actions = [_failed(error)]
        return pb.WorkflowResponse(
            instanceId=request.instanceId, actions=actions, completionToken=token
        )
    return pb.WorkflowResponse(
        instanceId=request.instanceId,
        actions=result.actions,
        completionToken=token,
        version=pb.WorkflowVersion(name=result.version_name) if result.version_name else None,
    )


def drive(ctx: Any, data: Mapping[str, Any]) -> Generator[Any, Any, Any]:
    """Run a turn's body on a workflow context of the SDK."""
    body = turn(data)
    result: Any = None
    while True:
        try:
            effect = body.send(result)
        except StopIteration as end:
            if isinstance(end.value, ContinueAsNew):
                ctx.continue_as_new(end.value.input)
                return None
            return end.value
        if isinstance(effect, Call):
            result = yield ctx.call_activity(effect.activity, input=effect.input)
        else:
            calls: list[Any] = [
                ctx.call_activity(call.activity, input=call.input) for call in effect.calls
            ]
            result = yield when_all(calls)


def _failed(error: Exception) -> pb.WorkflowAction:
    ended = pb.CompleteWorkflowAction(
        workflowStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=new_failure_details(error)
    )
    return pb.WorkflowAction(id=-1, completeWorkflow=ended)


def _sdk_log() -> logging.Logger:
    """Return the SDK's logger, without its line at each turn; a level that the program set stays."""
    log = logging.getLogger("durabletask-worker")
    if log.level == logging.NOTSET:
        log.setLevel(logging.ERROR)
    return log


_REGISTRY: Final = new_registry()
