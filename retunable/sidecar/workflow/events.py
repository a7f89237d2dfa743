"""Makes and reads the events of a history; times are nanoseconds since 1970.

Events are the SDK's own messages, stored as their wire bytes: a worker gets back exactly what it
or its sidecar said, including what a later SDK adds and we do not know. They are plain values;
nothing here does I/O.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from retunable.sidecar.workflow.protos import StringValue, Timestamp, pb

NEVER: Final = 253_402_214_400 * 1_000_000_000
"""9999-12-31: the SDK sets a timer there for an event that is awaited without limit."""

_NANOSECONDS: Final = 1_000_000_000

Event: TypeAlias = "pb.HistoryEvent"
Text: TypeAlias = "StringValue | None"


def timestamp(at: int) -> Timestamp:
    """Return a time as the messages carry it."""
    seconds, nanos = divmod(at, _NANOSECONDS)
    return Timestamp(seconds=seconds, nanos=nanos)


def nanoseconds(time: Timestamp) -> int:
    """Return a message's time as a number."""
    return time.seconds * _NANOSECONDS + time.nanos


def text(value: str | None) -> Text:
    """Return a text as the messages carry it where it may be absent."""
    return None if value is None else StringValue(value=value)


def read(stored: bytes) -> Event:
    """Return a stored event."""
    return pb.HistoryEvent.FromString(stored)


def workflow_started(at: int, version: pb.WorkflowVersion | None = None) -> Event:
    """Return the event that begins every turn; the workflow's clock is its time."""
    return _event(at, workflowStarted=pb.WorkflowStartedEvent(version=version))


def execution_started(
    at: int,
    *,
    app_id: str,
    instance_id: str,
    execution_id: str,
    name: str,
    input: Text,  # noqa: A002 - the protocol's word
    parent: pb.ParentInstanceInfo | None = None,
    scheduled_for: Timestamp | None = None,
    trace: pb.TraceContext | None = None,
) -> Event:
    """Return the event that an instance begins with."""
    return _event(
        at,
        router=pb.TaskRouter(sourceAppID=app_id),
        executionStarted=pb.ExecutionStartedEvent(
            name=name,
            input=input,
            workflowInstance=pb.WorkflowInstance(
                instanceId=instance_id, executionId=text(execution_id)
            ),
            parentInstance=parent,
            scheduledStartTimestamp=scheduled_for,
            parentTraceContext=trace,
        ),
    )


def started_anew(at: int, start: Event, *, input: Text, execution_id: str) -> Event:  # noqa: A002
    """Return the first event of the next history of an instance that continues as new."""
    old = start.executionStarted
    return _event(
        at,
        router=start.router,
        executionStarted=pb.ExecutionStartedEvent(
            name=old.name,
            input=input,
            workflowInstance=pb.WorkflowInstance(
                instanceId=old.workflowInstance.instanceId, executionId=text(execution_id)
            ),
            parentInstance=old.parentInstance if old.HasField("parentInstance") else None,
            parentTraceContext=(
                old.parentTraceContext if old.HasField("parentTraceContext") else None
            ),
        ),
    )


def execution_completed(
    at: int,
    *,
    id: int,  # noqa: A002
    status: pb.OrchestrationStatus.ValueType,
    result: Text,
    failure: pb.TaskFailureDetails | None = None,
) -> Event:
    """Return the event that an instance ends with."""
    ended = pb.ExecutionCompletedEvent(workflowStatus=status, result=result, failureDetails=failure)
    return _event(at, id=id, executionCompleted=ended)


def execution_terminated(at: int, *, output: Text, recurse: bool) -> Event:
    """Return the event that somebody outside ended an instance."""
    return _event(
        at, executionTerminated=pb.ExecutionTerminatedEvent(input=output, recurse=recurse)
    )


def execution_suspended(at: int, reason: Text) -> Event:
    """Return the event after which a workflow sees nothing until it is resumed."""
    return _event(at, executionSuspended=pb.ExecutionSuspendedEvent(input=reason))


def execution_resumed(at: int, reason: Text) -> Event:
    """Return the event that ends a suspension."""
    return _event(at, executionResumed=pb.ExecutionResumedEvent(input=reason))


def execution_stalled(at: int, *, reason: pb.StalledReason.ValueType, description: str) -> Event:
    """Return the event that no worker that is connected can go on with this instance."""
    return _event(
        at, executionStalled=pb.ExecutionStalledEvent(reason=reason, description=description)
    )


def event_raised(at: int, *, name: str, input: Text) -> Event:  # noqa: A002
    """Return an event from outside."""
    return _event(at, eventRaised=pb.EventRaisedEvent(name=name, input=input))


def task_completed(at: int, task: Event, result: Text) -> Event:
    """Return what an activity gave."""
    return _event(
        at,
        taskCompleted=pb.TaskCompletedEvent(
            taskScheduledId=task.eventId,
            result=result,
            taskExecutionId=task.taskScheduled.taskExecutionId,
        ),
    )


def task_failed(at: int, task: Event, failure: pb.TaskFailureDetails) -> Event:
    """Return why an activity failed."""
    return _event(
        at,
        taskFailed=pb.TaskFailedEvent(
            taskScheduledId=task.eventId,
            failureDetails=failure,
            taskExecutionId=task.taskScheduled.taskExecutionId,
        ),
    )


def child_completed(at: int, *, task_id: int, result: Text) -> Event:
    """Return what a child workflow gave."""
    return _event(
        at,
        childWorkflowInstanceCompleted=pb.ChildWorkflowInstanceCompletedEvent(
            taskScheduledId=task_id, result=result
        ),
    )


def child_failed(at: int, *, task_id: int, failure: pb.TaskFailureDetails | None) -> Event:
    """Return why a child workflow failed; one that was terminated has no details."""
    return _event(
        at,
        childWorkflowInstanceFailed=pb.ChildWorkflowInstanceFailedEvent(
            taskScheduledId=task_id, failureDetails=failure
        ),
    )


def timer_fired(*, timer_id: int, fire_at: Timestamp) -> Event:
    """Return that a timer is over; its own time is set when it fires."""
    return pb.HistoryEvent(
        eventId=-1, timerFired=pb.TimerFiredEvent(timerId=timer_id, fireAt=fire_at)
    )


def failure(*, kind: str, message: str) -> pb.TaskFailureDetails:
    """Return a failure that the sidecar itself found; trying again does not help."""
    return pb.TaskFailureDetails(errorType=kind, errorMessage=message, isNonRetriable=True)


def _event(at: int, *, id: int = -1, **kind: object) -> Event:  # noqa: A002
    return pb.HistoryEvent(eventId=id, timestamp=timestamp(at), **kind)  # type: ignore[arg-type]
