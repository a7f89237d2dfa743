"""Every statement on the tables of the workflows: rows in and out, no decisions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

from retunable.sidecar.workflow.changes import Task
from retunable.sidecar.workflow.engine import Timer
from retunable.sidecar.workflow.events import Event, read
from retunable.sidecar.workflow.instance import Instance, Parent, Status, TaskToken

_NUMBERS: Final = 1 << 32

_INSTANCE: Final = (
    "key, id, name, generation, length, status, suspended, "
    "parent_key, parent_generation, parent_task, version, patches"
)


def find(connection: sqlite3.Connection, instance_id: str) -> Instance | None:
    """Return the instance of an id."""
    return _instance(connection, "id = ?", instance_id)


def get(connection: sqlite3.Connection, key: int) -> Instance | None:
    """Return the instance of a key."""
    return _instance(connection, "key = ?", key)


def children(connection: sqlite3.Connection, key: int) -> list[Instance]:
    """Return the instances that an instance started and may await, of all its histories."""
    rows = connection.execute(
        f"SELECT {_INSTANCE} FROM workflow_instances WHERE parent_key = ?",  # noqa: S608
        (key,),
    )
    return [_read_instance(row) for row in rows.fetchall()]


def insert(
    connection: sqlite3.Connection,
    *,
    start: Event,
    parent: Parent | None,
    now: int,
) -> int:
    """Add an instance that begins with an event; return its key."""
    started = start.executionStarted
    link = (None,) * 3 if parent is None else (parent.key, parent.generation, parent.task_id)
    added = connection.execute(
        "INSERT INTO workflow_instances (id, name, generation, length, status, suspended, "
        "parent_key, parent_generation, parent_task, version, patches, created_at, updated_at, "
        "start) VALUES (?, ?, 0, 0, ?, 0, ?, ?, ?, '', '', ?, ?, ?)",
        (
            started.workflowInstance.instanceId,
            started.name,
            int(Status.PENDING),
            *link,
            now,
            now,
            start.SerializeToString(),
        ),
    )
    return int(added.lastrowid or 0)


def update_progress(connection: sqlite3.Connection, instance: Instance, *, now: int) -> None:
    """Note how far an instance is."""
    connection.execute(
        "UPDATE workflow_instances SET generation = ?, length = ?, status = ?, version = ?, "
        "patches = ?, updated_at = ? WHERE key = ?",
        (
            instance.generation,
            instance.length,
            int(instance.status),
            instance.version,
            "\n".join(instance.patches),
            now,
            instance.key,
        ),
    )


def set_custom_status(connection: sqlite3.Connection, key: int, status: str | None) -> None:
    """Keep what a workflow says of itself."""
    connection.execute(
        "UPDATE workflow_instances SET custom_status = ? WHERE key = ? AND custom_status IS NOT ?",
        (status, key, status),
    )


def set_suspended(connection: sqlite3.Connection, key: int, *, suspended: bool, now: int) -> None:
    """Note whether an instance is suspended."""
    connection.execute(
        "UPDATE workflow_instances SET suspended = ?, updated_at = ? WHERE key = ?",
        (suspended, now, key),
    )


def set_start(connection: sqlite3.Connection, key: int, start: Event) -> None:
    """Keep the first event of an instance's next history."""
    connection.execute(
        "UPDATE workflow_instances SET start = ? WHERE key = ?", (start.SerializeToString(), key)
    )


def start_of(connection: sqlite3.Connection, key: int) -> Event:
    """Return the first event of an instance's present history."""
    row = connection.execute("SELECT start FROM workflow_instances WHERE key = ?", (key,))
    return read(row.fetchone()[0])


def finish(connection: sqlite3.Connection, key: int, *, completed: Event, now: int) -> None:
    """Keep how an instance ended, and drop everything that could still happen to it."""
    connection.execute(
        "UPDATE workflow_instances SET completed = ?, finished_at = ? WHERE key = ?",
        (completed.SerializeToString(), now, key),
    )
    drop_work(connection, key)
    drop_inbox(connection, key)


def drop_work(connection: sqlite3.Connection, key: int) -> None:
    """Drop the activities and timers that an instance awaits; what they give is not taken."""
    connection.execute("DELETE FROM workflow_tasks WHERE place BETWEEN ? AND ?", _range(key))
    connection.execute("DELETE FROM workflow_timers WHERE place BETWEEN ? AND ?", _range(key))


def drop_history(connection: sqlite3.Connection, key: int) -> None:
    """Drop an instance's present history."""
    connection.execute("DELETE FROM workflow_history WHERE place BETWEEN ? AND ?", _range(key))


def delete(connection: sqlite3.Connection, key: int) -> None:
    """Leave nothing of an instance."""
    drop_work(connection, key)
    drop_inbox(connection, key)
    drop_history(connection, key)
    connection.execute("DELETE FROM workflow_instances WHERE key = ?", (key,))


def append_history(
    connection: sqlite3.Connection, key: int, *, length: int, events: Iterable[Event]
) -> None:
    """Add events behind the ``length`` that an instance's history has."""
    first = _place(key, length)
    connection.executemany(
        "INSERT INTO workflow_history VALUES (?, ?)",
        [(first + number, event.SerializeToString()) for number, event in enumerate(events)],
    )


def history(connection: sqlite3.Connection, key: int, *, since: int = 0) -> list[bytes]:
    """Return an instance's stored events from a number on."""
    rows = connection.execute(
        "SELECT event FROM workflow_history WHERE place BETWEEN ? AND ? ORDER BY place",
        (_place(key, since), _place(key, _NUMBERS - 1)),
    )
    return [row[0] for row in rows.fetchall()]


def deliver(connection: sqlite3.Connection, key: int, events: Iterable[Event]) -> None:
    """Add events that the instance's next turn will take."""
    connection.executemany(
        "INSERT INTO workflow_inbox (key, event) VALUES (?, ?)",
        [(key, event.SerializeToString()) for event in events],
    )


def inbox(
    connection: sqlite3.Connection, key: int, *, last: int | None = None
) -> list[tuple[int, bytes]]:
    """Return what an instance's next turn takes, each with its number, in order."""
    rows = connection.execute(
        "SELECT number, event FROM workflow_inbox WHERE key = ? AND number <= ? ORDER BY number",
        (key, 2**63 - 1 if last is None else last),
    )
    return rows.fetchall()


def drop_inbox(connection: sqlite3.Connection, key: int, *, last: int | None = None) -> None:
    """Drop what an instance's turn took."""
    connection.execute(
        "DELETE FROM workflow_inbox WHERE key = ? AND number <= ?",
        (key, 2**63 - 1 if last is None else last),
    )


def add_tasks(connection: sqlite3.Connection, tasks: Iterable[Task]) -> None:
    """Add activities that an instance awaits."""
    connection.executemany(
        "INSERT INTO workflow_tasks VALUES (?, ?, ?)",
        [
            (_place(task.token.key, task.token.task_id), task.token.generation, task.event)
            for task in tasks
        ],
    )


def task(connection: sqlite3.Connection, token: TaskToken) -> Task | None:
    """Return an activity that is still awaited."""
    row = connection.execute(
        "SELECT id, event FROM workflow_tasks JOIN workflow_instances ON key = ? "
        "WHERE place = ? AND workflow_tasks.generation = ?",
        (token.key, _place(token.key, token.task_id), token.generation),
    ).fetchone()
    return None if row is None else Task(token, *row)


def remove_task(connection: sqlite3.Connection, token: TaskToken) -> bytes | None:
    """Take an activity off what is awaited; None where it was not awaited any more."""
    row = connection.execute(
        "DELETE FROM workflow_tasks WHERE place = ? AND generation = ? RETURNING event",
        (_place(token.key, token.task_id), token.generation),
    ).fetchone()
    return None if row is None else row[0]


def all_tasks(connection: sqlite3.Connection) -> list[TaskToken]:
    """Return every activity that is awaited."""
    rows = connection.execute("SELECT place, generation FROM workflow_tasks ORDER BY place")
    return [
        TaskToken(place // _NUMBERS, generation, place % _NUMBERS) for place, generation in rows
    ]


def add_timers(connection: sqlite3.Connection, key: int, timers: Iterable[Timer]) -> None:
    """Add what is to be delivered to an instance later."""
    connection.executemany(
        "INSERT INTO workflow_timers VALUES (?, ?, ?, ?)",
        [
            (_place(key, timer.id), timer.at, timer.delay, timer.event.SerializeToString())
            for timer in timers
        ],
    )


def remove_due_timers(
    connection: sqlite3.Connection, *, now: int, limit: int
) -> list[tuple[int, bytes]]:
    """Take the timers that are over; return each one's instance and event, in order."""
    rows = connection.execute(
        "SELECT place, event FROM workflow_timers WHERE due_at <= ? ORDER BY due_at, place LIMIT ?",
        (now, limit),
    ).fetchall()
    connection.executemany(
        "DELETE FROM workflow_timers WHERE place = ?", [(place,) for place, _ in rows]
    )
    return [(place // _NUMBERS, event) for place, event in rows]


def next_due(connection: sqlite3.Connection) -> int | None:
    """Return when the next timer is over."""
    due: int | None = connection.execute("SELECT min(due_at) FROM workflow_timers").fetchone()[0]
    return due


def bring_timers_nearer(connection: sqlite3.Connection, *, now: int) -> None:
    """Let no timer be further away than it was when it was set: the clock was put back."""
    connection.execute(
        "UPDATE workflow_timers SET due_at = ? + delay WHERE due_at > ? + delay", (now, now)
    )


def runnable(connection: sqlite3.Connection) -> list[int]:
    """Return the keys of all instances that have something to take."""
    return [row[0] for row in connection.execute("SELECT DISTINCT key FROM workflow_inbox")]


def stalled(connection: sqlite3.Connection) -> list[Instance]:
    """Return all instances that wait for another worker."""
    rows = connection.execute(f"SELECT {_INSTANCE} FROM workflow_instances WHERE status = 8")  # noqa: S608
    return [_read_instance(row) for row in rows.fetchall()]


def finished_before(connection: sqlite3.Connection, *, at: int, limit: int) -> list[int]:
    """Return the keys of instances that ended before a time, the oldest first."""
    rows = connection.execute(
        "SELECT key FROM workflow_instances WHERE finished_at < ? ORDER BY finished_at LIMIT ?",
        (at, limit),
    )
    return [row[0] for row in rows]


def finished_beyond(connection: sqlite3.Connection, *, count: int, limit: int) -> list[int]:
    """Return the keys of the oldest ended instances where more than ``count`` have ended."""
    rows = connection.execute(
        "SELECT key FROM workflow_instances WHERE finished_at IS NOT NULL "
        "ORDER BY finished_at DESC LIMIT ? OFFSET ?",
        (limit, count),
    )
    return [row[0] for row in rows]


def payloads(
    connection: sqlite3.Connection, key: int
) -> tuple[int, int, str | None, bytes, bytes | None]:
    """Return an instance's times of creation and last change, custom status, start and end."""
    row: tuple[int, int, str | None, bytes, bytes | None] = connection.execute(
        "SELECT created_at, updated_at, custom_status, start, completed "
        "FROM workflow_instances WHERE key = ?",
        (key,),
    ).fetchone()
    return row


def ids(connection: sqlite3.Connection, *, after: int, limit: int) -> list[tuple[int, str]]:
    """Return a page of all instances, by key."""
    rows = connection.execute(
        "SELECT key, id FROM workflow_instances WHERE key > ? ORDER BY key LIMIT ?", (after, limit)
    )
    return rows.fetchall()


def _instance(connection: sqlite3.Connection, condition: str, value: str | int) -> Instance | None:
    row = connection.execute(
        f"SELECT {_INSTANCE} FROM workflow_instances WHERE {condition}",  # noqa: S608 - constants
        (value,),
    ).fetchone()
    return None if row is None else _read_instance(row)


def _read_instance(row: tuple[Any, ...]) -> Instance:
    key, instance_id, name, generation, length, status, suspended, *parent, version, patches = row
    return Instance(
        key=key,
        id=instance_id,
        name=name,
        generation=generation,
        length=length,
        status=Status(status),
        suspended=bool(suspended),
        parent=None if parent[0] is None else Parent(*parent),
        version=version,
        patches=tuple(patches.split("\n")) if patches else (),
    )


def _place(key: int, number: int) -> int:
    return key * _NUMBERS + number


def _range(key: int) -> tuple[int, int]:
    return _place(key, 0), _place(key, _NUMBERS - 1)
