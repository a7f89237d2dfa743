"""Messages on a plain connection: who has read what, and what is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from retunable.sidecar.cloud_event import CloudEvent
from retunable.sidecar.connection import connect
from retunable.sidecar.messages import (
    SCHEMA,
    Message,
    Topic,
    acknowledge,
    count_attempt,
    forget_old,
    has_new,
    publish,
    read_pending,
    take_new,
)

NOW = 1_000.0
TOPIC = Topic("pubsub", "orders")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect(tmp_path / "messages.db", [SCHEMA])
    yield connection
    connection.close()


def event(data: bytes, *, expires_at: float | None = None) -> CloudEvent:
    return CloudEvent({"id": data.decode()}, data, expires_at)


def put(file: sqlite3.Connection, *data: bytes, now: float = NOW, topic: Topic = TOPIC) -> None:
    publish(file, topic, [event(one) for one in data], now=now)


def take(file: sqlite3.Connection, app_id: str, *, limit: int = 10) -> list[bytes]:
    return data_of(take_new(file, app_id, TOPIC, limit=limit, now=NOW))


def data_of(messages: list[Message]) -> list[bytes]:
    return [message.event.data for message in messages]


def test_each_app_reads_every_message_once_and_in_order(file: sqlite3.Connection) -> None:
    put(file, b"1", b"2", b"3")
    assert take(file, "shop", limit=2) == [b"1", b"2"]
    assert take(file, "shop") == [b"3"]
    assert take(file, "desk") == [b"1", b"2", b"3"]
    assert take(file, "shop") == []


def test_a_topic_has_only_its_own_messages(file: sqlite3.Connection) -> None:
    put(file, b"1", topic=Topic("pubsub", "other"))
    put(file, b"2", topic=Topic("other", "orders"))
    assert not has_new(file, "shop", TOPIC)
    assert take(file, "shop") == []


def test_what_was_taken_is_pending_until_it_is_acknowledged(file: sqlite3.Connection) -> None:
    put(file, b"1", b"2")
    first, second = take_new(file, "shop", TOPIC, limit=10, now=NOW)
    assert not has_new(file, "shop", TOPIC)
    acknowledge(file, "shop", first.id)
    count_attempt(file, "shop", second.id)
    assert read_pending(file, "shop", TOPIC) == [Message(second.id, second.event, 1)]
    assert read_pending(file, "desk", TOPIC) == []


def test_an_expired_message_is_given_to_nobody(file: sqlite3.Connection) -> None:
    publish(file, TOPIC, [event(b"1", expires_at=NOW), event(b"2", expires_at=NOW + 1)], now=NOW)
    assert take(file, "shop") == [b"2"]
    assert data_of(read_pending(file, "shop", TOPIC)) == [b"2"]


def test_old_messages_go_with_what_was_pending_of_them(file: sqlite3.Connection) -> None:
    put(file, b"old", now=NOW - 100)
    put(file, b"new")
    take(file, "shop")
    assert forget_old(file, now=NOW, kept_seconds=50) == 1
    assert data_of(read_pending(file, "shop", TOPIC)) == [b"new"]


def test_the_oldest_above_the_size_go(file: sqlite3.Connection) -> None:
    put(file, *(str(number).encode() * 10 for number in range(5)))
    assert forget_old(file, now=NOW, kept_bytes=25) == 3
    assert take(file, "shop") == [b"3" * 10, b"4" * 10]


def test_a_number_is_not_used_twice(file: sqlite3.Connection) -> None:
    put(file, b"1")
    take(file, "shop")
    forget_old(file, now=NOW + 100, kept_seconds=50)
    put(file, b"2")
    assert take(file, "shop") == [b"2"]
