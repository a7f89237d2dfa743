"""The same calls on the embedded sidecar and on a real daprd give the same answers.

Left out of the comparison: etags, ids and times, and the names that the embedded one adds to "not
found".
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from dapr.proto.common.v1 import common_pb2
from dapr.proto.runtime.v1 import (
    appcallback_pb2,
    configuration_pb2,
    dapr_pb2_grpc,
    pubsub_pb2,
    secret_pb2,
    state_pb2,
)
from google.protobuf.json_format import MessageToDict

from dev.resources import REDIS_RESOURCES
from dev.stack import RedisStack, Stack
from retunable.sidecar.child import SidecarChild
from retunable.sidecar.configuration import ConfigurationFile
from retunable.sidecar.files import configuration_file
from retunable.sidecar.settings import SidecarSettings
from tests.integration.sidecar.conftest import STOP_SECONDS

pytestmark = [pytest.mark.embedded, pytest.mark.redis]

APP_ID = "agent-under-test"
CALL_SECONDS = 10.0
LISTENS_SECONDS = 0.3
"""How long after its id a subscription of daprd may still be deaf."""

SECRETS = {"openai": {"key": "sk-1"}, "plain": "p", "several": ["a", "b"]}
SECRET_STORE = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: {name}}}
spec:
  type: secretstores.local.file
  version: v1
  metadata:
    - {{name: secretsFile, value: "{folder}/secrets.json"}}
    - {{name: multiValued, value: "{several}"}}
"""


@dataclass(frozen=True)
class Side:
    """One of the two sidecars, and how to write into its configuration store."""

    port: int
    http_port: int
    set: Callable[[str, str], object]
    delete: Callable[[str], object]


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("components")
    for file in REDIS_RESOURCES.glob("*.yaml"):
        shutil.copy(file, folder)
    (folder / "secrets.json").write_text(json.dumps(SECRETS))
    for name, several in (("secrets", "false"), ("several", "true")):
        text = SECRET_STORE.format(name=name, folder=folder, several=several)
        (folder / f"{name}.yaml").write_text(text)
    (folder / "env.yaml").write_text(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: env}\n"
        "spec: {type: secretstores.local.env, version: v1, metadata: []}\n"
    )
    return folder


@pytest.fixture(scope="module")
def daprd(
    tmp_path_factory: pytest.TempPathFactory,
    dapr_binaries: object,
    redis_program: object,
    resources: Path,
) -> Iterator[RedisStack]:
    folder = tmp_path_factory.mktemp("stack")
    with Stack.redis(folder, app_id=APP_ID, state="sqlite", resources=resources) as stack:
        yield stack


@pytest.fixture(scope="module")
def sides(
    daprd: RedisStack, tmp_path_factory: pytest.TempPathFactory, resources: Path
) -> Iterator[tuple[Side, Side]]:
    data_dir = tmp_path_factory.mktemp("data")
    settings = SidecarSettings(app_id=APP_ID, data_dir=data_dir, resources_path=resources)
    child = SidecarChild.start(settings)
    file = ConfigurationFile(configuration_file(data_dir))
    embedded = Side(
        child.grpc_port,
        child.http_port,
        lambda key, value: file.write({key: value}),
        lambda key: file.write({key: None}),
    )
    yield embedded, Side(daprd.sidecar.grpc_port, daprd.sidecar.http_port, daprd.set, daprd.delete)
    child.stop(within_seconds=STOP_SECONDS)


Scene = Callable[[Any, Side], Awaitable[list[object]]]

STORE = "statestore"
FIRST_WRITE = common_pb2.StateOptions(concurrency=common_pb2.StateOptions.CONCURRENCY_FIRST_WRITE)
LAST_WRITE = common_pb2.StateOptions(concurrency=common_pb2.StateOptions.CONCURRENCY_LAST_WRITE)


async def answer(call: Awaitable[Any]) -> object:
    """Return a reply or an error as far as it is to be the same."""
    try:
        reply = await asyncio.wait_for(call, CALL_SECONDS)
    except grpc.aio.AioRpcError as error:
        details = re.sub(r" \(there are: .*\)", "", error.details() or "")
        return (error.code().name, details)
    return comparable(MessageToDict(reply)) if reply is not grpc.aio.EOF else "end"


def comparable(value: Any) -> Any:
    """Replace what differs between any two runs by a word."""
    if isinstance(value, list):
        return [comparable(one) for one in value]
    if not isinstance(value, dict):
        return value
    words = {"etag", "ttlExpireTime", "time", "expiration", "version"}
    return {k: k if k in words and v else comparable(v) for k, v in value.items()}


def item(key: str, value: bytes = b"1", etag: str | None = None, **more: Any) -> Any:
    given: Any = {} if etag is None else {"etag": common_pb2.Etag(value=etag)}
    return common_pb2.StateItem(key=key, value=value, **given, **more)


def save(dapr: Any, *items: Any, store: str = STORE) -> Awaitable[object]:
    return answer(dapr.SaveState(state_pb2.SaveStateRequest(store_name=store, states=items)))


def get(dapr: Any, key: str, store: str = STORE) -> Awaitable[object]:
    return answer(dapr.GetState(state_pb2.GetStateRequest(store_name=store, key=key)))


async def bulk(dapr: Any, *keys: str) -> object:
    """Return the items by key: daprd gives them in any order."""
    request = state_pb2.GetBulkStateRequest(store_name=STORE, keys=keys, parallelism=1)
    found: Any = await answer(dapr.GetBulkState(request))
    return {one["key"]: one for one in found["items"]} if "items" in found else found


def delete(dapr: Any, key: str, etag: str | None = None) -> Awaitable[object]:
    given: Any = {} if etag is None else {"etag": common_pb2.Etag(value=etag)}
    request = state_pb2.DeleteStateRequest(store_name=STORE, key=key, **given)
    return answer(dapr.DeleteState(request))


def transact(dapr: Any, *operations: tuple[str, Any]) -> Awaitable[object]:
    request = state_pb2.ExecuteStateTransactionRequest(
        storeName=STORE,
        operations=[
            state_pb2.TransactionalStateOperation(operationType=kind, request=one)
            for kind, one in operations
        ],
    )
    return answer(dapr.ExecuteStateTransaction(request))


async def saves_and_reads(dapr: Any, _: Side) -> list[object]:
    return [
        await get(dapr, "absent"),
        await save(dapr, item("json", b'{"x": 1}'), item("bytes", b"\xff\x00"), item("empty", b"")),
        await get(dapr, "json"),
        await get(dapr, "bytes"),
        await get(dapr, "empty"),
        await save(dapr),
        await delete(dapr, "json"),
        await delete(dapr, "json"),
        await get(dapr, "json"),
    ]


async def refused_keys_and_names(dapr: Any, _: Side) -> list[object]:
    return [
        await get(dapr, "a||b"),
        await get(dapr, ""),
        await save(dapr, item("a||b")),
        await save(dapr, item("")),
        await bulk(dapr, "a||b"),
        await get(dapr, "a", store="nope"),
        await save(dapr, item("a"), store="nope"),
        await save(dapr, item("huge", b"x" * 5_000_000)),
    ]


async def etags(dapr: Any, _: Side) -> list[object]:
    request = state_pb2.GetStateRequest(store_name=STORE, key="tagged")
    found: list[object] = [await save(dapr, item("tagged", b"1"))]
    stands = (await dapr.GetState(request)).etag
    found += [
        await save(dapr, item("tagged", b"2", "other")),
        await save(dapr, item("tagged", b"2", "other", options=LAST_WRITE)),
        await save(dapr, item("absent", b"2", "1")),
        await save(dapr, item("tagged", b"2", stands)),
        await save(dapr, item("tagged", b"3", stands)),
        await save(dapr, item("tagged", b"4", "")),
        await get(dapr, "tagged"),
        await delete(dapr, "tagged", "other"),
        await delete(dapr, "absent", "1"),
        await delete(dapr, "tagged", ""),
    ]
    return found


async def first_write(dapr: Any, _: Side) -> list[object]:
    return [
        await save(dapr, item("first", b"1", options=FIRST_WRITE)),
        await save(dapr, item("first", b"2", options=FIRST_WRITE)),
        await get(dapr, "first"),
        await save(dapr, item("plain", b"1")),
        await save(dapr, item("plain", b"2", options=FIRST_WRITE)),
        await delete(dapr, "first"),
        await save(dapr, item("first", b"3", options=FIRST_WRITE)),
    ]


async def one_of_several_fails(dapr: Any, _: Side) -> list[object]:
    await save(dapr, item("b", b"1"))
    await save(dapr, item("a", b"2"), item("b", b"2", "other"), item("c", b"2"))
    return [await bulk(dapr, "a", "b", "c")]


async def several_at_once(dapr: Any, _: Side) -> list[object]:
    await save(dapr, item("bulk1"), item("bulk2", b""))
    return [await bulk(dapr), await bulk(dapr, "bulk1", "bulk1", "bulk2", "no")]


async def transactions(dapr: Any, _: Side) -> list[object]:
    return [
        await transact(dapr, ("upsert", item("t1")), ("delete", item("t0"))),
        await transact(dapr, ("upsert", item("t2")), ("upsert", item("t1", b"2", "other"))),
        await transact(dapr, ("upsert", item("t2")), ("delete", item("t1", b"", "other"))),
        await transact(dapr, ("upsert", item("t1", b"3", options=FIRST_WRITE))),
        await transact(dapr, ("upsert", item("t3", b"1")), ("upsert", item("t3", b"2"))),
        await transact(dapr, ("rename", item("t1"))),
        await transact(dapr),
        await bulk(dapr, "t0", "t1", "t2", "t3"),
    ]


async def times_to_live(dapr: Any, _: Side) -> list[object]:
    return [
        await save(dapr, item("ttl", metadata={"ttlInSeconds": "100"})),
        await get(dapr, "ttl"),
        await bulk(dapr, "ttl"),
        await save(dapr, item("ttl", metadata={"ttlInSeconds": "-1"})),
        await get(dapr, "ttl"),
    ]


def secret(dapr: Any, store: str, key: str) -> Awaitable[object]:
    return answer(dapr.GetSecret(secret_pb2.GetSecretRequest(store_name=store, key=key)))


async def secrets(dapr: Any, _: Side) -> list[object]:
    keys = ("openai:key", "openai", "plain", "several:0", "several", "no")
    asked = [await secret(dapr, store, key) for store in ("secrets", "several") for key in keys[:3]]
    asked += [await secret(dapr, "secrets", key) for key in keys[3:]]
    asked += [await secret(dapr, "env", key) for key in ("PATH", "NOT_SET", "APP_API_TOKEN")]
    asked.append(await secret(dapr, "nope", "x"))
    for store in ("secrets", "nope"):
        request = secret_pb2.GetBulkSecretRequest(store_name=store)
        asked.append(await answer(dapr.GetBulkSecret(request)))
    return asked


def configuration(dapr: Any, store: str, *keys: str) -> Awaitable[object]:
    request = configuration_pb2.GetConfigurationRequest(store_name=store, keys=keys)
    return answer(dapr.GetConfiguration(request))


def without_versions(value: Any) -> Any:
    """Redis knows no version; ours counts."""
    if isinstance(value, dict):
        return {k: without_versions(v) for k, v in value.items() if k not in ("version", "id")}
    return value


async def reads_configuration(dapr: Any, side: Side) -> list[object]:
    await asyncio.to_thread(side.set, "role", "é ☃")
    asked = [
        await configuration(dapr, "runtime-config", "role", "absent"),
        await configuration(dapr, "runtime-config", "absent"),
        await configuration(dapr, "nope", "role"),
    ]
    return [without_versions(one) for one in asked]


async def is_told_of_configuration(dapr: Any, side: Side) -> list[object]:
    request = configuration_pb2.SubscribeConfigurationRequest(
        store_name="runtime-config", keys=["told", "other"]
    )
    call = dapr.SubscribeConfiguration(request)
    first = await call.read()
    assert first.id
    told: list[object] = [len(first.items)]
    await asyncio.sleep(LISTENS_SECONDS)
    changes: tuple[Callable[[], object], ...] = (
        lambda: side.set("told", "1"),
        lambda: side.set("told", "1"),
        lambda: [side.set("unrelated", "1"), side.set("other", "2")],
        lambda: side.delete("told"),
    )
    for change in changes:
        await asyncio.to_thread(change)
        message = await asyncio.wait_for(call.read(), CALL_SECONDS)
        assert message.id == first.id
        told.append(without_versions(MessageToDict(message)))
    stop = configuration_pb2.UnsubscribeConfigurationRequest(
        store_name="runtime-config", id=first.id
    )
    told.append(await answer(dapr.UnsubscribeConfiguration(stop)))
    told.append(await answer(call.read()))
    return told


async def configuration_that_is_not_there(dapr: Any, _: Side) -> list[object]:
    call = dapr.SubscribeConfiguration(
        configuration_pb2.SubscribeConfigurationRequest(store_name="nope", keys=["a"])
    )
    stop = configuration_pb2.UnsubscribeConfigurationRequest(store_name="runtime-config", id="x")
    return [await answer(call.read()), await answer(dapr.UnsubscribeConfigurationAlpha1(stop))]


def publish(dapr: Any, data: bytes, kind: str = "", topic: str = "t", **more: Any) -> Any:
    pubsub = more.pop("pubsub", "pubsub")
    return dapr.PublishEvent(
        pubsub_pb2.PublishEventRequest(
            pubsub_name=pubsub, topic=topic, data=data, data_content_type=kind, **more
        )
    )


def opening(pubsub: str, topic: str) -> Any:
    initial = pubsub_pb2.SubscribeTopicEventsRequestInitialAlpha1(pubsub_name=pubsub, topic=topic)
    return pubsub_pb2.SubscribeTopicEventsRequestAlpha1(initial_request=initial)


def processed(event_id: str) -> Any:
    success = appcallback_pb2.TopicEventResponse(status=appcallback_pb2.TopicEventResponse.SUCCESS)
    done = pubsub_pb2.SubscribeTopicEventsRequestProcessedAlpha1(id=event_id, status=success)
    return pubsub_pb2.SubscribeTopicEventsRequestAlpha1(event_processed=done)


EVENTS: dict[str, tuple[bytes, str, dict[str, str]]] = {
    "text": (b"x", "", {}),
    "json": (b'{"a":1}', "application/json", {}),
    "bytes": (b"\xff\x00", "application/octet-stream", {}),
    "named": (b"x", "text/plain", {"cloudevent.id": "i", "cloudevent.source": "s", "other": "o"}),
    "cloud event": (
        b'{"specversion":"1.0","id":"i","source":"s","type":"t","data":{"q":1},"subject":"su",'
        b'"datacontenttype":"application/json","ext":"e"}',
        "application/cloudevents+json",
        {},
    ),
    "bare cloud event": (b'{"specversion":"1.0","id":"i"}', "application/cloudevents+json", {}),
    "with a time to live": (b"x", "text/plain", {"ttlInSeconds": "100"}),
    "empty": (b"", "", {}),
}


async def events(dapr: Any, _: Side) -> list[object]:
    call = dapr.SubscribeTopicEventsAlpha1()
    await call.write(opening("pubsub", "t"))
    found = [await answer(call.read())]
    await asyncio.sleep(LISTENS_SECONDS)
    for data, kind, metadata in EVENTS.values():
        # daprd's broker in memory answers the publisher only after the subscriber did.
        publishing = asyncio.ensure_future(publish(dapr, data, kind, metadata=metadata))
        message = await asyncio.wait_for(call.read(), CALL_SECONDS)
        found.append(_event(message))
        await call.write(processed(message.event_message.id))
        await asyncio.wait_for(publishing, CALL_SECONDS)
    call.cancel()
    return found


def _event(message: Any) -> object:
    event = comparable(MessageToDict(message))["eventMessage"]
    return event | {"id": event["id"] if len(event["id"]) < 36 else "uuid"}


async def refused_topics(dapr: Any, _: Side) -> list[object]:
    call = dapr.SubscribeTopicEventsAlpha1()
    await call.write(opening("nope", "t"))
    twice = [pubsub_pb2.BulkPublishRequestEntry(entry_id="1", event=b"x")] * 2
    request = pubsub_pb2.BulkPublishRequest(pubsub_name="pubsub", topic="b", entries=twice)
    return [
        await answer(publish(dapr, b"x", pubsub="nope")),
        await answer(publish(dapr, b"x", pubsub="")),
        await answer(publish(dapr, b"x", topic="")),
        await answer(dapr.BulkPublishEventAlpha1(request)),
        await answer(call.read()),
    ]


SCENES: tuple[Scene, ...] = (
    saves_and_reads,
    refused_keys_and_names,
    etags,
    first_write,
    one_of_several_fails,
    several_at_once,
    transactions,
    times_to_live,
    secrets,
    reads_configuration,
    is_told_of_configuration,
    configuration_that_is_not_there,
    events,
    refused_topics,
)


@pytest.fixture
async def stubs(sides: tuple[Side, Side]) -> AsyncIterator[list[tuple[Any, Side]]]:
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{side.port}") for side in sides]
    generated: Any = dapr_pb2_grpc.DaprStub  # without annotations
    yield [(generated(channel), side) for channel, side in zip(channels, sides, strict=True)]
    for channel in channels:
        await channel.close()


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_the_answers_are_the_same(scene: Scene, stubs: list[tuple[Any, Side]]) -> None:
    embedded, daprd = [await scene(dapr, side) for dapr, side in stubs]
    assert embedded == daprd


def over_http(side: Side, path: str) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", side.http_port, timeout=CALL_SECONDS)
    try:
        connection.request("GET", f"/v1.0/secrets/{path}")
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read() or "null")
    finally:
        connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "secrets/plain",
        "secrets/openai:key",
        "secrets/openai%3Akey",
        "several/openai",
        "secrets/absent",
        "secrets/bulk",
        "several/bulk",
        "env/NOT_SET",
        "nope/plain",
        "nope/bulk",
    ],
)
async def test_the_answers_over_http_are_the_same(sides: tuple[Side, Side], path: str) -> None:
    embedded, daprd = [await asyncio.to_thread(over_http, side, path) for side in sides]
    assert embedded == daprd
