"""Begins and ends instances: whose id is free, what a parent hears, what terminating means."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from retunable.sidecar.workflow import events, tables
from retunable.sidecar.workflow.changes import Changes, Refusal, Task
from retunable.sidecar.workflow.engine import Child, Timer
from retunable.sidecar.workflow.events import Event, Text
from retunable.sidecar.workflow.instance import Instance, Parent, Status, TaskToken
from retunable.sidecar.workflow.protos import pb
from retunable.sidecar.workflow.rerun import Fork

START_TIMER = 0
"""The number of the timer that delivers a delayed start; a workflow numbers its own from 1."""


def begin(
    connection: sqlite3.Connection,
    changes: Changes,
    start: Event,
    *,
    parent: Parent | None = None,
    scheduled_for: int | None = None,
    now: int,
) -> Refusal | None:
    """Add an instance, in the place of one that ended under the same id."""
    instance_id = start.executionStarted.workflowInstance.instanceId
    refusal = _free(connection, instance_id)
    if refusal is not None:
        return refusal
    key = tables.insert(connection, start=start, parent=parent, now=now)
    changes.seen[instance_id] = Status.PENDING
    if scheduled_for is None or scheduled_for <= now:
        tables.deliver(connection, key, [start])
        changes.runnable[key] = None
    else:
        delay = scheduled_for - now
        timer = Timer(id=START_TIMER, at=scheduled_for, delay=delay, event=start)
        tables.add_timers(connection, key, [timer])
        changes.timers = True
    return None


def begin_child(
    connection: sqlite3.Connection,
    changes: Changes,
    child: Child,
    *,
    by: Instance,
    app_id: str,
    now: int,
) -> None:
    """Start a child workflow; where that is refused its parent hears of a failed one."""
    start = events.execution_started(
        now,
        app_id=app_id,
        instance_id=child.id,
        execution_id=str(uuid4()),
        name=child.name,
        input=child.input,
        parent=None if child.task_id is None else _parent_info(by, child.task_id, app_id),
        trace=child.trace,
    )
    parent = None if child.task_id is None else Parent(by.key, by.generation, child.task_id)
    refusal = begin(
        connection,
        changes,
        start,
        parent=parent,
        scheduled_for=child.scheduled_for,
        now=now,
    )
    if refusal is not None and child.task_id is not None:
        failure = pb.TaskFailureDetails(
            errorType="WorkflowInstanceAlreadyExists", errorMessage=refusal.message
        )
        failed = events.child_failed(now, task_id=child.task_id, failure=failure)
        tables.deliver(connection, by.key, [failed])
        changes.runnable[by.key] = None


def resume_fork(
    connection: sqlite3.Connection, changes: Changes, forked: Fork, *, app_id: str, now: int
) -> None:
    """Add an instance that stands in the middle of a history, and do what it awaits."""
    start = next(event for event in forked.history if event.HasField("executionStarted"))
    key = tables.insert(connection, start=start, parent=None, now=now)
    tables.append_history(connection, key, length=0, events=forked.history)
    started = start.executionStarted
    instance = Instance(
        key=key,
        id=started.workflowInstance.instanceId,
        name=started.name,
        length=len(forked.history),
        status=Status.RUNNING,
    )
    tables.update_progress(connection, instance, now=now)
    changes.seen[instance.id] = instance.status
    tasks = [event for event in forked.again if event.HasField("taskScheduled")]
    add_tasks(connection, changes, instance, tasks)
    for event in forked.again:
        if event.HasField("timerCreated"):
            fire_at = event.timerCreated.fireAt
            fired = events.timer_fired(timer_id=event.eventId, fire_at=fire_at)
            at = events.nanoseconds(fire_at)
            delay = max(0, at - now)
            if at < events.NEVER:
                timer = Timer(id=event.eventId, at=at, delay=delay, event=fired)
                tables.add_timers(connection, key, [timer])
                changes.timers = True
        elif event.HasField("childWorkflowInstanceCreated"):
            created = event.childWorkflowInstanceCreated
            child = Child(
                id=created.instanceId,
                name=created.name,
                input=created.input if created.HasField("input") else None,
                task_id=event.eventId,
            )
            begin_child(connection, changes, child, by=instance, app_id=app_id, now=now)


def add_tasks(
    connection: sqlite3.Connection,
    changes: Changes,
    instance: Instance,
    tasks: Sequence[Event],
) -> None:
    """Add activities that an instance awaits."""
    added = [
        Task(
            TaskToken(instance.key, instance.generation, task.eventId),
            instance.id,
            task.SerializeToString(),
        )
        for task in tasks
    ]
    tables.add_tasks(connection, added)
    changes.tasks.extend(added)


def end(
    connection: sqlite3.Connection,
    changes: Changes,
    instance: Instance,
    completed: Event,
    *,
    now: int,
) -> None:
    """Finish an instance whose row and history are written, and tell its parent."""
    tables.finish(connection, instance.key, completed=completed, now=now)
    changes.runnable.pop(instance.key, None)
    changes.ended.append(instance.key)
    changes.seen[instance.id] = instance.status
    if instance.parent is None:
        return
    parent = tables.get(connection, instance.parent.key)
    # A parent that went on with a new history awaits nothing of the old one.
    if parent is None or parent.status.finished or parent.generation != instance.parent.generation:
        return
    told = _told(completed.executionCompleted, instance.parent.task_id, now)
    tables.deliver(connection, parent.key, [told])
    changes.runnable[parent.key] = None


def terminate(
    connection: sqlite3.Connection,
    changes: Changes,
    instance: Instance,
    *,
    output: Text,
    recurse: bool,
    now: int,
) -> None:
    """End an instance at once, without its worker, and with ``recurse`` all that it started."""
    if not instance.status.finished:
        ended = events.execution_completed(
            now, id=-1, status=pb.ORCHESTRATION_STATUS_TERMINATED, result=output
        )
        history = [
            events.workflow_started(now),
            *_not_taken(connection, instance),
            events.execution_terminated(now, output=output, recurse=recurse),
            ended,
        ]
        tables.append_history(connection, instance.key, length=instance.length, events=history)
        instance = replace(
            instance, length=instance.length + len(history), status=Status.TERMINATED
        )
        tables.update_progress(connection, instance, now=now)
        end(connection, changes, instance, ended, now=now)
    if recurse:
        for child in tables.children(connection, instance.key):
            terminate(connection, changes, child, output=output, recurse=True, now=now)


def unfinished_below(connection: sqlite3.Connection, key: int) -> str | None:
    """Return the id of an instance that an ended one started, and that goes on."""
    for child in tables.children(connection, key):
        if not child.status.finished:
            return child.id
        below = unfinished_below(connection, child.key)
        if below is not None:
            return below
    return None


def _free(connection: sqlite3.Connection, instance_id: str) -> Refusal | None:
    """Remove what ended under an id; say why it is not free."""
    existing = tables.find(connection, instance_id)
    if existing is None:
        return None
    if not existing.status.finished:
        return Refusal(
            "already exists", f"an active workflow with ID '{instance_id}' already exists"
        )
    # What a child of the old one reports must not reach the new one.
    child = unfinished_below(connection, existing.key)
    if child is not None:
        return Refusal(
            "already exists",
            f"cannot recreate workflow with ID '{instance_id}': child workflow '{child}': "
            "orchestration has not yet completed",
        )
    tables.delete(connection, existing.key)
    return None


def _not_taken(connection: sqlite3.Connection, instance: Instance) -> list[Event]:
    waiting = [events.read(event) for _, event in tables.inbox(connection, instance.key)]
    if instance.length == 0 and not any(one.HasField("executionStarted") for one in waiting):
        waiting.insert(0, tables.start_of(connection, instance.key))
    return waiting


def _told(completed: pb.ExecutionCompletedEvent, task_id: int, now: int) -> Event:
    if completed.workflowStatus == pb.ORCHESTRATION_STATUS_COMPLETED:
        result = completed.result if completed.HasField("result") else None
        return events.child_completed(now, task_id=task_id, result=result)
    failure = completed.failureDetails if completed.HasField("failureDetails") else None
    return events.child_failed(now, task_id=task_id, failure=failure)


def _parent_info(parent: Instance, task_id: int, app_id: str) -> pb.ParentInstanceInfo:
    return pb.ParentInstanceInfo(
        taskScheduledId=task_id,
        name=events.text(parent.name),
        workflowInstance=pb.WorkflowInstance(instanceId=parent.id),
        appID=app_id,
    )
