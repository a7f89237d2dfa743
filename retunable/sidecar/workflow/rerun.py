"""Forks a history: everything up to one event stays, that event and what was unfinished is redone.

Pure. What the fork redoes is scheduled by others.
"""

from __future__ import annotations

from dataclasses import dataclass

from retunable.sidecar.workflow.changes import Refusal
from retunable.sidecar.workflow.events import Event, Text
from retunable.sidecar.workflow.protos import pb

_SCHEDULING = ("taskScheduled", "timerCreated", "childWorkflowInstanceCreated")

_RESOLVES = {
    "taskCompleted": "taskScheduledId",
    "taskFailed": "taskScheduledId",
    "childWorkflowInstanceCompleted": "taskScheduledId",
    "childWorkflowInstanceFailed": "taskScheduledId",
    "timerFired": "timerId",
}


@dataclass(frozen=True, slots=True)
class ForkRequest:
    """From which event of which instance, and what is to be different."""

    source_id: str
    event_id: int
    new_id: str
    overwrite_input: bool = False
    input: Text = None
    new_child_id: str | None = None


@dataclass(frozen=True, slots=True)
class Fork:
    """The new instance's history, and which of its events are to happen again."""

    history: tuple[Event, ...]
    again: tuple[Event, ...]


def fork(history: list[Event], request: ForkRequest) -> Fork | Refusal:
    """Return the history to go on from."""
    found = _position(history, request.event_id)
    if found is None:
        return Refusal("not found", f"does not have history event with ID '{request.event_id}'")
    target = history[found]
    refusal = _refused(target, request)
    if refusal is not None:
        return refusal
    kept = [_copy(event) for event in history[: found + 1]]
    resolved = {_resolved(event) for event in kept}
    again = [
        event
        for event in kept
        if event.WhichOneof("eventType") in _SCHEDULING and event.eventId not in resolved
    ]
    for event in again:
        _rename_child(event, request)
    _mark(kept[-1], request)
    for event in kept:
        if event.HasField("executionStarted"):
            event.executionStarted.workflowInstance.instanceId = request.new_id
    return Fork(history=tuple(kept), again=tuple(again))


def _position(history: list[Event], event_id: int) -> int | None:
    for position, event in enumerate(history):
        if event.eventId == event_id:
            return position
    return None


def _refused(target: Event, request: ForkRequest) -> Refusal | None:
    kind = target.WhichOneof("eventType")
    if kind not in _SCHEDULING:
        return Refusal(
            "not found",
            f"target event '{kind}' with ID '{request.event_id}' is not an event that can be rerun",
        )
    if kind == "timerCreated" and request.overwrite_input:
        return Refusal("invalid", f"cannot write input to timer event '{request.event_id}'")
    if kind != "childWorkflowInstanceCreated" and request.new_child_id is not None:
        return Refusal(
            "invalid",
            f"cannot set new child workflow instance ID on event '{request.event_id}'",
        )
    return None


def _mark(target: Event, request: ForkRequest) -> None:
    """Note where the event came from, and give it what is to be different."""
    kind = target.WhichOneof("eventType")
    parent = pb.RerunParentInstanceInfo(instanceID=request.source_id)
    getattr(target, str(kind)).rerunParentInstanceInfo.CopyFrom(parent)
    if request.overwrite_input:
        scheduled = getattr(target, str(kind))
        scheduled.ClearField("input")
        if request.input is not None:
            scheduled.input.CopyFrom(request.input)
    if request.new_child_id is not None:
        target.childWorkflowInstanceCreated.instanceId = request.new_child_id


def _rename_child(event: Event, request: ForkRequest) -> None:
    if event.HasField("childWorkflowInstanceCreated"):
        child_id = f"{request.new_id}:{event.eventId:04x}"
        event.childWorkflowInstanceCreated.instanceId = child_id


def _resolved(event: Event) -> int | None:
    kind = event.WhichOneof("eventType")
    if kind not in _RESOLVES:
        return None
    resolved: int = getattr(getattr(event, kind), _RESOLVES[kind])
    return resolved


def _copy(event: Event) -> Event:
    copy = pb.HistoryEvent()
    copy.CopyFrom(event)
    return copy
