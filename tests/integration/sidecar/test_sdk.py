"""The unmodified SDK's clients on the embedded sidecar."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest
from dapr.aio.clients import DaprClient as AsyncDaprClient
from dapr.clients import DaprClient
from dapr.clients.grpc._request import TransactionalStateOperation, TransactionOperationType
from dapr.clients.grpc._response import TopicEventResponse
from dapr.clients.grpc._state import StateItem
from dapr.conf import settings as dapr_settings

from retunable.sidecar.child import SidecarChild
from retunable.sidecar.configuration import ConfigurationFile
from tests.integration.sidecar.conftest import StartSidecar

pytestmark = pytest.mark.embedded

STORE = "statestore"
SECONDS = 20.0


@pytest.fixture
def sidecar(
    start_sidecar: StartSidecar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SidecarChild:
    """A sidecar with a secret store, which the SDK's health probe finds."""
    (tmp_path / "secrets.json").write_text(json.dumps({"openai": {"key": "sk-1"}}))
    (tmp_path / "secrets.yaml").write_text(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: secrets}\n"
        "spec: {type: secretstores.local.file, version: v1, metadata: "
        f"[{{name: secretsFile, value: {tmp_path / 'secrets.json'}}}]}}\n"
    )
    child = start_sidecar(resources_path=tmp_path)
    monkeypatch.setattr(dapr_settings, "DAPR_HTTP_PORT", child.http_port)
    return child


@pytest.fixture
def client(sidecar: SidecarChild) -> Iterator[Any]:
    with DaprClient(f"127.0.0.1:{sidecar.grpc_port}") as opened:
        yield opened


def test_state_is_kept_by_etag(client: Any) -> None:
    client.save_state(STORE, "k", "1")
    first = client.get_state(STORE, "k")
    assert first.data == b"1"
    client.save_state(STORE, "k", "2", etag=first.etag)
    with pytest.raises(grpc.RpcError) as refused:
        client.save_state(STORE, "k", "3", etag=first.etag)
    assert refused.value.code() == grpc.StatusCode.ABORTED
    client.delete_state(STORE, "k")
    assert client.get_state(STORE, "k").data == b""


def test_states_are_saved_and_read_together(client: Any) -> None:
    client.save_bulk_state(STORE, [StateItem("a", "1"), StateItem("b", "2")])
    found = client.get_bulk_state(STORE, ["a", "b", "c"]).items
    assert {one.key: one.data for one in found} == {"a": b"1", "b": b"2", "c": b""}
    client.execute_state_transaction(
        STORE,
        [
            TransactionalStateOperation(key="c", data="3"),
            TransactionalStateOperation(key="a", operation_type=TransactionOperationType.delete),
        ],
    )
    found = client.get_bulk_state(STORE, ["a", "c"]).items
    assert {one.key: one.data for one in found} == {"a": b"", "c": b"3"}


def test_a_secret_is_read(client: Any) -> None:
    assert client.get_secret("secrets", "openai:key").secret == {"openai:key": "sk-1"}
    assert client.get_bulk_secret("secrets").secrets == {"openai:key": {"openai:key": "sk-1"}}


def test_metadata_is_read(client: Any) -> None:
    client.set_metadata("team", "desk")
    said = client.get_metadata()
    assert said.application_id == "shop"
    assert said.extended_metadata["team"] == "desk"
    assert [c.name for c in said.registered_components if c.type == "state.sqlite"] == [STORE]


def test_a_handler_is_told_of_each_change(client: Any, store: ConfigurationFile) -> None:
    store.write({"role": "first"})
    assert client.get_configuration("runtime-config", ["role"]).items["role"].value == "first"
    told: Queue[dict[str, str]] = Queue()

    def handler(_: str, response: Any) -> None:
        told.put({key: item.value for key, item in response.items.items()})

    subscription = client.subscribe_configuration("runtime-config", ["role", "goal"], handler)
    assert subscription
    store.write({"role": "second", "goal": "new", "other": "x"})
    assert told.get(timeout=SECONDS) == {"role": "second", "goal": "new"}
    store.write({"role": None})
    assert told.get(timeout=SECONDS) == {"role": ""}
    assert client.unsubscribe_configuration("runtime-config", subscription)


def test_a_handler_takes_messages_and_says_when_it_wants_one_again(client: Any) -> None:
    came: Queue[tuple[str, str]] = Queue()
    answers = iter(("retry", "success", "drop", "success"))

    def handler(message: Any) -> Any:
        came.put((message.data()["text"], message.type()))
        return TopicEventResponse(next(answers))

    close: Callable[[], None] = client.subscribe_with_handler("pubsub", "orders", handler)
    for text in ("a", "b", "c"):
        client.publish_event(
            "pubsub", "orders", json.dumps({"text": text}), data_content_type="application/json"
        )
        got = came.get(timeout=SECONDS)
        assert got == (text, "com.dapr.event.sent")
        if text == "a":
            assert came.get(timeout=SECONDS) == got
    close()
    assert came.empty()


def test_a_stream_is_read_and_closed(client: Any) -> None:
    subscription = client.subscribe("pubsub", "orders")
    client.publish_event("pubsub", "orders", "hello")
    message = subscription.next_message()
    assert (message.data(), message.topic(), message.source()) == ("hello", "orders", "shop")
    subscription.respond_success(message)
    closer = threading.Thread(target=subscription.close)
    closer.start()
    closer.join(SECONDS)
    assert not closer.is_alive()


async def test_the_async_client_does_the_same(sidecar: SidecarChild) -> None:
    async with AsyncDaprClient(f"127.0.0.1:{sidecar.grpc_port}") as client:
        await client.save_state(STORE, "k", "1")
        assert (await client.get_state(STORE, "k")).data == b"1"
        subscription: Any = await client.subscribe("pubsub", "orders")
        await client.publish_event("pubsub", "orders", "hello")
        message = await asyncio.wait_for(subscription.next_message(), SECONDS)
        assert message.data() == "hello"
        await subscription.respond_success(message)
        await subscription.close()
