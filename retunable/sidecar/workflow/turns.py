"""Transactions of the worker's side: hand out a turn, take its answer, take an activity's result.

An answer is taken once: its token must still fit the history, a result's activity must still be
awaited. What does not fit is late or doubled, and changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never
from uuid import uuid4

from retunable.sidecar.workflow import engine, events, lifetimes, tables
from retunable.sidecar.workflow.changes import Changes
from retunable.sidecar.workflow.engine import Advanced, ContinuedAsNew, Stalled
from retunable.sidecar.workflow.events import Event
from retunable.sidecar.workflow.instance import Instance, Status, TaskToken, TurnToken
from retunable.sidecar.workflow.protos import pb

TIMERS_AT_ONCE = 128

_OF_ONE_HISTORY = (
    "taskCompleted",
    "taskFailed",
    "timerFired",
    "childWorkflowInstanceCompleted",
    "childWorkflowInstanceFailed",
)


@dataclass(frozen=True, slots=True)
class Known:
    """How many events of which history a worker holds already."""

    generation: int
    count: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn to give to a worker; ``past`` is the history from ``since`` on."""

    instance_id: str
    key: int
    generation: int
    length: int
    last_event: int
    since: int
    past: tuple[bytes, ...]
    new: tuple[bytes, ...]

    def token(self, at: int) -> TurnToken:
        """Return what names the turn when it is given out."""
        return TurnToken(self.key, self.generation, self.length, self.last_event, at)

    def stands_on(self, known: Known | None) -> bool:
        """Tell whether a worker that holds so much has the whole history with it."""
        return self.since == 0 or known == Known(self.generation, self.since)


def load_turn(
    connection: sqlite3.Connection, key: int, *, known: Known | None = None
) -> Turn | None:
    """Return what an instance has to take next; None where it has nothing or must not."""
    waiting = tables.inbox(connection, key)
    if not waiting:
        return None
    instance = tables.get(connection, key)
    if instance is None or instance.suspended or instance.status is Status.STALLED:
        return None
    if instance.status.finished:
        return None
    fits = known is not None and known.generation == instance.generation
    since = known.count if known is not None and fits else 0
    return Turn(
        instance_id=instance.id,
        key=key,
        generation=instance.generation,
        length=instance.length,
        last_event=waiting[-1][0],
        since=since,
        past=tuple(tables.history(connection, key, since=since)),
        new=tuple(event for _, event in waiting),
    )


def complete_turn(
    connection: sqlite3.Connection,
    token: TurnToken,
    answer: pb.WorkflowResponse,
    *,
    app_id: str,
    now: int,
) -> Changes | None:
    """Take a worker's answer to a turn; None where it is late."""
    instance = tables.get(connection, token.key)
    if instance is None or instance.status.finished:
        return None
    if (instance.generation, instance.length) != (token.generation, token.length):
        return None
    waiting = tables.inbox(connection, token.key, last=token.last_event)
    if not waiting:
        return None
    changes = Changes()
    taken = [events.workflow_started(token.at), *(events.read(event) for _, event in waiting)]
    outcome = engine.complete_turn(instance, taken, answer, app_id=app_id, now=now)
    match outcome:
        case Stalled():
            _stall(connection, changes, instance, outcome, now=now)
        case ContinuedAsNew():
            tables.drop_inbox(connection, instance.key, last=token.last_event)
            _continue_as_new(connection, changes, instance, outcome, now=now)
        case Advanced():
            tables.drop_inbox(connection, instance.key, last=token.last_event)
            _advance(connection, changes, instance, outcome, app_id=app_id, now=now)
        case _:
            assert_never(outcome)
    return changes


def complete_task(
    connection: sqlite3.Connection, token: TaskToken, answer: pb.ActivityResponse, *, now: int
) -> Changes:
    """Take an activity's result."""
    changes = Changes()
    stored = tables.remove_task(connection, token)
    if stored is None:
        return changes
    task = events.read(stored)
    if answer.HasField("failureDetails"):
        result = events.task_failed(now, task, answer.failureDetails)
    else:
        given = answer.result if answer.HasField("result") else None
        result = events.task_completed(now, task, given)
    tables.deliver(connection, token.key, [result])
    changes.runnable[token.key] = None
    return changes


def fire_timers(connection: sqlite3.Connection, *, now: int) -> tuple[Changes, int | None]:
    """Deliver what is due; return when the next timer is over too."""
    changes = Changes()
    for key, stored in tables.remove_due_timers(connection, now=now, limit=TIMERS_AT_ONCE):
        event = events.read(stored)
        event.timestamp.CopyFrom(events.timestamp(now))
        tables.deliver(connection, key, [event])
        changes.runnable[key] = None
    return changes, tables.next_due(connection)


def retry_stalled(connection: sqlite3.Connection, *, now: int) -> Changes:
    """Let instances that no worker could go on with be tried by one that has just come."""
    changes = Changes()
    for instance in tables.stalled(connection):
        tables.update_progress(connection, replace(instance, status=Status.RUNNING), now=now)
        changes.runnable[instance.key] = None
    return changes


def _advance(
    connection: sqlite3.Connection,
    changes: Changes,
    before: Instance,
    outcome: Advanced,
    *,
    app_id: str,
    now: int,
) -> None:
    instance = outcome.instance
    tables.append_history(connection, instance.key, length=before.length, events=outcome.history)
    tables.update_progress(connection, instance, now=now)
    tables.set_custom_status(connection, instance.key, _text(outcome.custom_status))
    changes.seen[instance.id] = instance.seen_status
    for child in outcome.children:
        lifetimes.begin_child(connection, changes, child, by=instance, app_id=app_id, now=now)
    for wanted in outcome.terminated:
        _terminate(connection, changes, wanted, now=now)
    if outcome.completed is not None:
        lifetimes.end(connection, changes, instance, outcome.completed, now=now)
        return
    lifetimes.add_tasks(connection, changes, instance, outcome.tasks)
    tables.add_timers(connection, instance.key, outcome.timers)
    changes.timers = changes.timers or bool(outcome.timers)
    tables.deliver(connection, instance.key, outcome.answers)
    changes.runnable[instance.key] = None


def _terminate(
    connection: sqlite3.Connection,
    changes: Changes,
    wanted: pb.TerminateWorkflowAction,
    *,
    now: int,
) -> None:
    target = tables.find(connection, wanted.instanceId)
    if target is not None:
        output = wanted.reason if wanted.HasField("reason") else None
        lifetimes.terminate(
            connection, changes, target, output=output, recurse=wanted.recurse, now=now
        )


def _continue_as_new(
    connection: sqlite3.Connection,
    changes: Changes,
    instance: Instance,
    outcome: ContinuedAsNew,
    *,
    now: int,
) -> None:
    """Begin the next history; what came meanwhile for the workflow itself is kept, behind."""
    start = events.started_anew(
        now,
        tables.start_of(connection, instance.key),
        input=outcome.input,
        execution_id=str(uuid4()),
    )
    meanwhile = _not_of_one_history(tables.inbox(connection, instance.key))
    tables.drop_history(connection, instance.key)
    tables.drop_work(connection, instance.key)
    tables.drop_inbox(connection, instance.key)
    anew = replace(
        instance,
        generation=instance.generation + 1,
        length=0,
        status=Status.RUNNING,
        version="",
        patches=(),
    )
    tables.update_progress(connection, anew, now=now)
    tables.set_custom_status(connection, instance.key, _text(outcome.custom_status))
    tables.set_start(connection, instance.key, start)
    tables.deliver(connection, instance.key, [start, *outcome.carryover, *meanwhile])
    changes.seen[instance.id] = anew.seen_status
    changes.ended.append(instance.key)
    changes.runnable[instance.key] = None


def _not_of_one_history(waiting: Iterable[tuple[int, bytes]]) -> list[Event]:
    read = (events.read(stored) for _, stored in waiting)
    return [event for event in read if event.WhichOneof("eventType") not in _OF_ONE_HISTORY]


def _stall(
    connection: sqlite3.Connection,
    changes: Changes,
    instance: Instance,
    outcome: Stalled,
    *,
    now: int,
) -> None:
    """Take the turn back; its events wait for another worker."""
    event = events.execution_stalled(now, reason=outcome.reason, description=outcome.description)
    last = tables.history(connection, instance.key, since=max(0, instance.length - 1))
    said = [events.read(one).executionStalled.description for one in last]
    if said != [outcome.description]:
        tables.append_history(connection, instance.key, length=instance.length, events=[event])
        instance = replace(instance, length=instance.length + 1)
    stalled = replace(instance, status=Status.STALLED)
    tables.update_progress(connection, stalled, now=now)
    changes.seen[instance.id] = stalled.seen_status


def _text(value: events.Text) -> str | None:
    return None if value is None else value.value
