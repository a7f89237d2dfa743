"""An instance as clients are told of it."""

from __future__ import annotations

from retunable.sidecar.workflow import events
from retunable.sidecar.workflow.operations import Description
from retunable.sidecar.workflow.protos import pb


def response(described: Description | None, *, payloads: bool) -> pb.GetInstanceResponse:
    """Return the answer to a question for an instance; ``payloads`` adds what it was given."""
    if described is None:
        return pb.GetInstanceResponse(exists=False)
    instance = described.instance
    state = pb.WorkflowState(
        instanceId=instance.id,
        name=instance.name,
        workflowStatus=pb.OrchestrationStatus.ValueType(instance.seen_status),
        createdTimestamp=events.timestamp(described.created_at),
        lastUpdatedTimestamp=events.timestamp(described.updated_at),
    )
    if described.parent_id is not None:
        state.parentInstanceId.value = described.parent_id
    if described.completed is not None:
        state.completedTimestamp.CopyFrom(described.completed.timestamp)
    if payloads:
        _add_payloads(state, described)
    return pb.GetInstanceResponse(exists=True, workflowState=state)


def _add_payloads(state: pb.WorkflowState, described: Description) -> None:
    started = described.start.executionStarted
    if started.HasField("input"):
        state.input.CopyFrom(started.input)
    if described.custom_status is not None:
        state.customStatus.value = described.custom_status
    if described.completed is None:
        return
    ended = described.completed.executionCompleted
    if ended.HasField("result"):
        state.output.CopyFrom(ended.result)
    if ended.HasField("failureDetails"):
        state.failureDetails.CopyFrom(ended.failureDetails)
