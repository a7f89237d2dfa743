"""Transactions of the client's side: start, raise an event, suspend, resume, terminate, purge.

Suspending and terminating are done at once and without a worker: a workflow whose program is not
running, or hangs, is stopped all the same.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from uuid import uuid4

from retunable.sidecar.workflow import events, lifetimes, tables
from retunable.sidecar.workflow.changes import Changes, Refusal
from retunable.sidecar.workflow.events import Event, Text, nanoseconds
from retunable.sidecar.workflow.instance import Instance, Status
from retunable.sidecar.workflow.protos import pb
from retunable.sidecar.workflow.rerun import ForkRequest, fork

NO_SUCH_INSTANCE = Refusal("unknown", "no such instance exists")


@dataclass(frozen=True, slots=True)
class Description:
    """An instance with its payloads, for a client."""

    instance: Instance
    parent_id: str | None
    created_at: int
    updated_at: int
    custom_status: str | None
    start: Event
    completed: Event | None


def start(
    connection: sqlite3.Connection,
    request: pb.CreateInstanceRequest,
    *,
    app_id: str,
    now: int,
) -> Changes | Refusal:
    """Begin an instance; one that ended under the same id makes room, if that is not forbidden."""
    if request.enforceUniqueInstanceId and tables.find(connection, request.instanceId):
        message = f"a workflow with ID '{request.instanceId}' already exists"
        return Refusal("already exists", message)
    scheduled = (
        request.scheduledStartTimestamp if request.HasField("scheduledStartTimestamp") else None
    )
    event = events.execution_started(
        now,
        app_id=app_id,
        instance_id=request.instanceId,
        execution_id=request.executionId.value or str(uuid4()),
        name=request.name,
        input=request.input if request.HasField("input") else None,
        scheduled_for=scheduled,
        trace=request.parentTraceContext if request.HasField("parentTraceContext") else None,
    )
    event.executionStarted.tags.update(request.tags)
    changes = Changes()
    refusal = lifetimes.begin(
        connection,
        changes,
        event,
        scheduled_for=None if scheduled is None else nanoseconds(scheduled),
        now=now,
    )
    return refusal or changes


def raise_event(
    connection: sqlite3.Connection,
    instance_id: str,
    *,
    name: str,
    input: Text,  # noqa: A002 - the protocol's word
    now: int,
) -> Changes | Refusal:
    """Give an instance an event; it keeps it until it asks for it. An ended one needs none."""
    instance = tables.find(connection, instance_id)
    if instance is None:
        return NO_SUCH_INSTANCE
    changes = Changes()
    if not instance.status.finished:
        event = events.event_raised(now, name=name, input=input)
        tables.deliver(connection, instance.key, [event])
        changes.runnable[instance.key] = None
    return changes


def suspend(
    connection: sqlite3.Connection, instance_id: str, *, reason: Text, now: int
) -> Changes | Refusal:
    """Let an instance take nothing until it is resumed; what runs for it goes on."""
    return _set_suspended(
        connection, instance_id, True, events.execution_suspended(now, reason), now=now
    )


def resume(
    connection: sqlite3.Connection, instance_id: str, *, reason: Text, now: int
) -> Changes | Refusal:
    """Let a suspended instance go on; the SDK fails a workflow that was not suspended."""
    return _set_suspended(
        connection, instance_id, False, events.execution_resumed(now, reason), now=now
    )


def terminate(
    connection: sqlite3.Connection,
    instance_id: str,
    *,
    output: Text,
    recurse: bool,
    now: int,
) -> Changes | Refusal:
    """End an instance."""
    instance = tables.find(connection, instance_id)
    if instance is None:
        return NO_SUCH_INSTANCE
    changes = Changes()
    if not instance.status.finished:
        lifetimes.terminate(connection, changes, instance, output=output, recurse=recurse, now=now)
    return changes


def purge(
    connection: sqlite3.Connection,
    instance_id: str,
    *,
    recurse: bool,
    force: bool,
    purged: list[int],
) -> Changes | Refusal:
    """Forget an ended instance, and with ``recurse`` all below it; ``purged`` gets their keys."""
    instance = tables.find(connection, instance_id)
    if instance is None:
        return NO_SUCH_INSTANCE
    doomed = _with_all_below(connection, instance) if recurse else [instance]
    if not force and not all(one.status.finished for one in doomed):
        return Refusal("unknown", "orchestration has not yet completed")
    changes = Changes()
    for one in doomed:
        tables.delete(connection, one.key)
        changes.ended.append(one.key)
        purged.append(one.key)
    return changes


def rerun(
    connection: sqlite3.Connection,
    request: ForkRequest,
    *,
    app_id: str,
    now: int,
) -> Changes | Refusal:
    """Begin a new instance with an ended one's history up to an event, which happens again."""
    source = tables.find(connection, request.source_id)
    if source is None:
        return Refusal(
            "not found", f"workflow instance does not exist with ID '{request.source_id}'"
        )
    if not source.status.finished:
        return Refusal("invalid", f"'{request.source_id}' is not in a terminal state")
    if source.parent is not None:
        return Refusal("invalid", f"'{request.source_id}': cannot rerun from child-workflows")
    if tables.find(connection, request.new_id) is not None:
        return Refusal("already exists", f"workflow '{request.new_id}' has already been created")
    forked = fork([events.read(one) for one in tables.history(connection, source.key)], request)
    if isinstance(forked, Refusal):
        return forked
    changes = Changes()
    lifetimes.resume_fork(connection, changes, forked, app_id=app_id, now=now)
    return changes


def describe(connection: sqlite3.Connection, instance_id: str) -> Description | None:
    """Return all that a client may ask of an instance but its history."""
    instance = tables.find(connection, instance_id)
    if instance is None:
        return None
    row = tables.payloads(connection, instance.key)
    parent = None if instance.parent is None else tables.get(connection, instance.parent.key)
    return Description(
        instance=instance,
        parent_id=None if parent is None else parent.id,
        created_at=row[0],
        updated_at=row[1],
        custom_status=row[2],
        start=events.read(row[3]),
        completed=None if row[4] is None else events.read(row[4]),
    )


def history(connection: sqlite3.Connection, instance_id: str) -> list[bytes] | None:
    """Return the stored events of an instance's present history."""
    instance = tables.find(connection, instance_id)
    return None if instance is None else tables.history(connection, instance.key)


def _set_suspended(
    connection: sqlite3.Connection, instance_id: str, suspended: bool, event: Event, *, now: int
) -> Changes | Refusal:
    instance = tables.find(connection, instance_id)
    if instance is None:
        return NO_SUCH_INSTANCE
    changes = Changes()
    if instance.status.finished or instance.suspended is suspended:
        return changes
    tables.set_suspended(connection, instance.key, suspended=suspended, now=now)
    tables.deliver(connection, instance.key, [event])
    changes.runnable[instance.key] = None
    changes.seen[instance.id] = Status.SUSPENDED if suspended else instance.status
    return changes


def _with_all_below(connection: sqlite3.Connection, instance: Instance) -> list[Instance]:
    below = tables.children(connection, instance.key)
    return [instance, *(one for child in below for one in _with_all_below(connection, child))]
