"""Messages between apps: kept for a while, each read once by every app that subscribes.

An app reads a topic from its oldest message on. What it was given and did not acknowledge is
``pending``, also over a crash. When to give it again is decided by ``topics``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from retunable.sidecar.cloud_event import CloudEvent
from retunable.sidecar.connection import Schema

DEFAULT_PUBSUB: Final = "pubsub"

KEPT_SECONDS: Final = 7 * 24 * 3600.0
KEPT_BYTES: Final = 256 * 1024 * 1024
DROPPED_ROWS: Final = 1000
"""How many messages one sweep deletes, so that publishing does not wait long for it."""

SCHEMA: Final = Schema(
    "messages",
    (
        """
        CREATE TABLE messages (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            pubsub TEXT NOT NULL,
            topic TEXT NOT NULL,
            attributes TEXT NOT NULL,
            data BLOB NOT NULL,
            published_at REAL NOT NULL,
            expires_at REAL
        );
        CREATE INDEX messages_of_topic ON messages (pubsub, topic, id);
        CREATE INDEX messages_by_age ON messages (published_at);
        CREATE TABLE readers (
            app_id TEXT NOT NULL,
            pubsub TEXT NOT NULL,
            topic TEXT NOT NULL,
            position INTEGER NOT NULL,
            PRIMARY KEY (app_id, pubsub, topic)
        ) WITHOUT ROWID;
        CREATE TABLE pending (
            app_id TEXT NOT NULL,
            message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
            attempts INTEGER NOT NULL,
            PRIMARY KEY (app_id, message_id)
        ) WITHOUT ROWID;
        CREATE INDEX pending_of_message ON pending (message_id);
        """,
    ),
)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of one pub/sub component."""

    pubsub: str
    name: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message as an app is given it; ``attempts`` counts the times before this one."""

    id: int
    event: CloudEvent
    attempts: int


def publish(
    connection: sqlite3.Connection, topic: Topic, events: Iterable[CloudEvent], *, now: float
) -> None:
    """Keep events for every app that reads the topic."""
    connection.executemany(
        "INSERT INTO messages (pubsub, topic, attributes, data, published_at, expires_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (
            (topic.pubsub, topic.name, json.dumps(e.attributes), e.data, now, e.expires_at)
            for e in events
        ),
    )


def take_new(
    connection: sqlite3.Connection, app_id: str, topic: Topic, *, limit: int, now: float
) -> list[Message]:
    """Give an app the next messages that it never had; they are pending from now on."""
    place = (app_id, topic.pubsub, topic.name)
    connection.execute("INSERT OR IGNORE INTO readers VALUES (?, ?, ?, 0)", place)
    rows = connection.execute(
        "SELECT id, attributes, data, expires_at FROM messages WHERE pubsub = ? AND topic = ? "
        "AND id > (SELECT position FROM readers WHERE app_id = ? AND pubsub = ? AND topic = ?) "
        "ORDER BY id LIMIT ?",
        (topic.pubsub, topic.name, *place, limit),
    ).fetchall()
    if not rows:
        return []
    connection.execute(
        "UPDATE readers SET position = ? WHERE app_id = ? AND pubsub = ? AND topic = ?",
        (rows[-1][0], *place),
    )
    alive = [row for row in rows if row[3] is None or row[3] > now]
    connection.executemany(
        "INSERT INTO pending VALUES (?, ?, 0)", ((app_id, row[0]) for row in alive)
    )
    return [_message(*row, attempts=0) for row in alive]


def read_pending(connection: sqlite3.Connection, app_id: str, topic: Topic) -> list[Message]:
    """Return what an app was given and never acknowledged, oldest first."""
    rows = connection.execute(
        "SELECT id, attributes, data, expires_at, attempts FROM pending "
        "JOIN messages ON messages.id = message_id "
        "WHERE app_id = ? AND pubsub = ? AND topic = ? ORDER BY id",
        (app_id, topic.pubsub, topic.name),
    )
    return [_message(*row[:4], attempts=row[4]) for row in rows]


def has_new(connection: sqlite3.Connection, app_id: str, topic: Topic) -> bool:
    """Tell whether there is a message that the app never had."""
    row = connection.execute(
        "SELECT 1 FROM messages WHERE pubsub = ? AND topic = ? AND id > coalesce("
        "(SELECT position FROM readers WHERE app_id = ? AND pubsub = ? AND topic = ?), 0) LIMIT 1",
        (topic.pubsub, topic.name, app_id, topic.pubsub, topic.name),
    ).fetchone()
    return row is not None


def acknowledge(connection: sqlite3.Connection, app_id: str, message_id: int) -> None:
    """Note that an app is done with a message."""
    connection.execute(
        "DELETE FROM pending WHERE app_id = ? AND message_id = ?", (app_id, message_id)
    )


def count_attempt(connection: sqlite3.Connection, app_id: str, message_id: int) -> None:
    """Note that an app wants a message again."""
    connection.execute(
        "UPDATE pending SET attempts = attempts + 1 WHERE app_id = ? AND message_id = ?",
        (app_id, message_id),
    )


def forget_old(
    connection: sqlite3.Connection,
    *,
    now: float,
    kept_seconds: float = KEPT_SECONDS,
    kept_bytes: int = KEPT_BYTES,
) -> int:
    """Delete messages past their time, and the oldest above the size; returns how many."""
    old = connection.execute(
        "DELETE FROM messages WHERE id IN (SELECT id FROM messages "
        "WHERE published_at < ? OR expires_at < ? ORDER BY id LIMIT ?)",
        (now - kept_seconds, now, DROPPED_ROWS),
    ).rowcount
    above = connection.execute(
        "DELETE FROM messages WHERE id IN (SELECT id FROM (SELECT id, sum(length(data)) "
        "OVER (ORDER BY id DESC) AS bytes FROM messages) WHERE bytes > ? ORDER BY id LIMIT ?)",
        (kept_bytes, DROPPED_ROWS),
    ).rowcount
    return old + above


def keep_age(connection: sqlite3.Connection, *, put_forward_seconds: float, now: float) -> None:
    """Leave messages as old as they were before the clock was put forward."""
    connection.execute(
        "UPDATE messages SET published_at = published_at + ? WHERE published_at <= ?",
        (put_forward_seconds, now - put_forward_seconds),
    )


def _message(
    number: int, attributes: str, data: bytes, expires_at: float | None, *, attempts: int
) -> Message:
    parsed: Mapping[str, str] = json.loads(attributes)
    return Message(number, CloudEvent(parsed, data, expires_at), attempts)
