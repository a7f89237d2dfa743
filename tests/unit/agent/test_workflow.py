"""What the worker answers to a turn that the sidecar hands over."""

from __future__ import annotations

import json
from typing import Any

import dapr.ext.workflow._durabletask.internal.protos as pb
from google.protobuf import wrappers_pb2

from retunable.agent.loop.turn import (
    MODEL_STEP,
    WORKFLOW,
    WORKFLOW_VERSION,
    first_input,
)
from retunable.agent.loop.workflow import Turns, new_registry

INPUT = first_input(agent="a", environment="default", run_id="r")


def begun(name: str = WORKFLOW, version: str | None = None) -> pb.WorkflowRequest:
    """Return the first turn of a workflow."""
    started = pb.WorkflowStartedEvent()
    if version is not None:
        started.version.name = version
    given = wrappers_pb2.StringValue(value=json.dumps(INPUT))
    return pb.WorkflowRequest(
        instanceId="a:r",
        newEvents=[
            pb.HistoryEvent(eventId=-1, workflowStarted=started),
            pb.HistoryEvent(
                eventId=-1, executionStarted=pb.ExecutionStartedEvent(name=name, input=given)
            ),
        ],
    )


def test_what_daprd_dispatches_is_registered_under_the_pinned_names() -> None:
    registry = new_registry()
    assert set(registry.versioned_orchestrators[WORKFLOW]) == {WORKFLOW_VERSION}
    assert registry.latest_versioned_orchestrators_version_name == {WORKFLOW: WORKFLOW_VERSION}


def test_a_first_turn_asks_for_the_first_model_step_and_names_its_version() -> None:
    response = Turns().take(begun(), token="t")
    (action,) = response.actions
    asked: Any = action.scheduleTask
    assert (asked.name, json.loads(asked.input.value)) == (MODEL_STEP, INPUT)
    said = (response.instanceId, response.completionToken, response.version.name)
    assert said == ("a:r", "t", WORKFLOW_VERSION)


def test_a_version_that_is_not_here_waits_for_a_program_that_has_it() -> None:
    (action,) = Turns().take(begun(version="v99"), token="t").actions
    assert action.WhichOneof("workflowActionType") == "workflowVersionNotAvailable"


def test_a_workflow_of_somebody_else_fails_with_its_name() -> None:
    (action,) = Turns().take(begun("theirs"), token="t").actions
    ended = action.completeWorkflow
    assert ended.workflowStatus == pb.ORCHESTRATION_STATUS_FAILED
    assert "theirs" in ended.failureDetails.errorMessage
