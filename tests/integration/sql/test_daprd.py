"""Our table as a real daprd sees it: read, announced, and nothing in it can end the sidecar."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import grpc
import psycopg
import pytest
from dapr.proto import api_service_v1, api_v1

from dev.processes import wait_until
from dev.stack import OUR_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.stack import PostgresStack

Message: TypeAlias = dict[str, tuple[str, str]]
LARGEST = 4 * 1024 * 1024 - 8 * 1024


class Client:
    """Reads and subscribes through the sidecar of a stack."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub: Any = cast("Any", api_service_v1).DaprStub(channel)

    def get(self, *keys: str) -> Message:
        request = api_v1.GetConfigurationRequest(store_name="runtime-config", keys=keys)
        return _items(self._stub.GetConfiguration(request, timeout=5))

    def subscribe(self, *keys: str) -> Iterator[Message]:
        """Yield what is announced; the first message is there when the call is answered."""
        request = api_v1.SubscribeConfigurationRequest(store_name="runtime-config", keys=keys)
        return map(_items, self._stub.SubscribeConfiguration(request, timeout=20))


def _items(reply: Any) -> Message:
    return {key: (item.value, item.version) for key, item in reply.items.items()}


@contextmanager
def _client(stack: PostgresStack) -> Iterator[Client]:
    with grpc.insecure_channel(f"127.0.0.1:{stack.sidecar.grpc_port}") as channel:
        yield Client(channel)


def _listening(stack: PostgresStack, stream: Iterator[Message]) -> None:
    """Return when the sidecar has told its id and its connection listens."""
    assert next(stream) == {}
    wait_until(
        lambda: bool(
            stack.store.execute(
                "SELECT pid FROM pg_stat_activity WHERE state = 'idle' AND query ILIKE 'listen%'"
            )
        ),
        what="daprd to listen",
        within_seconds=5,
    )


def test_a_change_is_announced_without_its_value_and_read_with_it(
    postgres_stack: PostgresStack,
) -> None:
    with _client(postgres_stack) as client:
        stream = client.subscribe("agent_role")
        _listening(postgres_stack, stream)
        postgres_stack.set("agent_role", "one")
        assert next(stream) == {"agent_role": ("", "1")}
        postgres_stack.set("agent_role", "two")
        assert next(stream) == {"agent_role": ("", "2")}
        assert client.get("agent_role") == {"agent_role": ("two", "2")}
        postgres_stack.delete("agent_role")
        assert next(stream) == {"agent_role": ("", "2")}
        assert client.get("agent_role") == {}


def test_the_largest_row_that_is_taken_can_be_read(postgres_stack: PostgresStack) -> None:
    key, metadata = "k" * 1000, f'{{"a": "{"m" * 4080}"}}'
    insert = "INSERT INTO configuration VALUES (%s, %s, '1', %s)"
    with pytest.raises(psycopg.errors.CheckViolation, match="at most"):
        postgres_stack.store.execute(insert, (key, "x" * (LARGEST + 1), metadata))
    postgres_stack.store.execute(insert, (key, "x" * LARGEST, metadata))

    with _client(postgres_stack) as client:
        assert client.get(key) == {key: ("x" * LARGEST, "1")}


def test_applying_the_file_again_disturbs_no_reader(postgres_stack: PostgresStack) -> None:
    postgres_stack.set("agent_role", "one")
    with _client(postgres_stack) as client:
        stream = client.subscribe("agent_role")
        _listening(postgres_stack, stream)
        assert client.get("agent_role") == {"agent_role": ("one", "1")}
        postgres_stack.store.run_script(OUR_TABLE)
        assert client.get("agent_role") == {"agent_role": ("one", "1")}
        postgres_stack.set("agent_role", "two")
        assert next(stream) == {"agent_role": ("", "2")}


KEYS = ("other", "", "x-y:z", "\x01", "\U0001f600")
VALUES = ("", "x" * 20_000, '"}', '{"a":', "null")
VERSIONS = ("", "null", "1e999", "{}", "v1", '\x01"', "9" * 300)
METADATA = (
    None,
    "{}",
    '{"a":"b"}',
    '{"a":null}',
    "[]",
    "null",
    '{"a":{"b":1}}',
    '{"":"\\u0000"}',
    '{"a":"\\ud800"}',
)


def test_no_row_that_the_table_takes_ends_daprd(postgres_stack: PostgresStack) -> None:
    upsert = (
        "INSERT INTO configuration VALUES (%s, %s, %s, %s) ON CONFLICT (key) DO UPDATE SET"
        " value = EXCLUDED.value, version = EXCLUDED.version, metadata = EXCLUDED.metadata"
    )
    with _client(postgres_stack) as client, postgres_stack.store.connect() as connection:
        stream = client.subscribe("agent_role", *KEYS)
        _listening(postgres_stack, stream)
        taken = 0
        for row in product(KEYS, VALUES, VERSIONS, METADATA):
            with suppress(psycopg.IntegrityError, psycopg.DataError):
                taken += connection.execute(upsert, row).rowcount
        postgres_stack.set("agent_role", "after it all")

        assert taken > 100
        assert any("agent_role" in message for message in stream)
        assert client.get("agent_role", "other")["agent_role"][0] == "after it all"
        assert postgres_stack.sidecar.running
