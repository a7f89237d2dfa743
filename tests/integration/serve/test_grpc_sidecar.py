"""An agent behind a real daprd with an app port: invoked, asked by topic, probed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.dapr import DaprBinaries
from dev.ports import free_port
from dev.processes import ChildProcess, Launch, wait_until
from dev.resources import CHECKOUT, REDIS_RESOURCES
from dev.stack import RedisStack, Stack
from retunable import DurableAgent, OpenAIProvider, Unavailable
from retunable.agent.runs.records import RunResult
from retunable.serve.grpc_app import ANSWERS_TOPIC, REQUESTS_TOPIC, serve_grpc
from retunable.serve.listening import Address
from retunable.testing import ModelServer, answer
from tests.unit.serve.standin import Asked, StandInAgent

pytestmark = pytest.mark.redis

TOKEN = "s3cret"


@dataclass
class Behind:
    """A sidecar that calls its app on ``port``."""

    stack: RedisStack
    port: int
    face: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def leave(self) -> None:
        """End the callback server of the agent."""
        await self.face.aclose()

    def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Ask the sidecar as `dapr invoke` and `dapr publish` do."""
        connection = HTTPConnection("127.0.0.1", self.stack.sidecar.http_port, timeout=15)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            data = b"" if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json"} | named
            connection.request("POST", path, data, headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        return response.status, json.loads(text) if text else None

    async def invoke(self, method: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        path = f"/v1.0/invoke/{self.stack.sidecar.app_id}/method/{method}"
        return await asyncio.to_thread(lambda: self.post(path, body, **headers))

    async def publish(self, body: Any, *, event: str, query: str = "") -> None:
        """Publish a CloudEvent of a given id."""
        envelope = {
            "specversion": "1.0",
            "id": event,
            "source": "shop",
            "type": "asked",
            "datacontenttype": "application/json",
            "data": body,
        }
        path = f"/v1.0/publish/pubsub/{REQUESTS_TOPIC}{query}"
        kind = "application/cloudevents+json"
        status, _ = await asyncio.to_thread(lambda: self.post(path, envelope, Content_Type=kind))
        assert status == 204

    def answers(self) -> list[Any]:
        """Return the events on the topic of answers."""
        with self.stack.store.client() as client:
            return [json.loads(fields["data"]) for _, fields in client.xrange(ANSWERS_TOPIC)]

    def unacknowledged(self) -> int:
        with self.stack.store.client() as client:
            pending = client.xpending(REQUESTS_TOPIC, self.stack.sidecar.app_id)
        return int(pending["pending"])

    def deliveries(self) -> int:
        """Return how often the message that was delivered most often was."""
        with self.stack.store.client() as client:
            pending = client.xpending_range(REQUESTS_TOPIC, self.stack.sidecar.app_id, "-", "+", 9)
        return max((int(one["times_delivered"]) for one in pending), default=0)

    async def wait_for_redelivery(self) -> None:
        """Wait until a message that is not acknowledged was delivered again."""
        await asyncio.to_thread(
            lambda: wait_until(
                lambda: self.deliveries() >= 2, what="a second delivery", within_seconds=10
            )
        )

    async def wait_for_answers(self, count: int) -> list[Any]:
        await asyncio.to_thread(
            lambda: wait_until(
                lambda: len(self.answers()) >= count and self.unacknowledged() == 0,
                what=f"{count} acknowledged answers",
                within_seconds=15,
            )
        )
        return self.answers()


RETRIES = {
    "apiVersion": "dapr.io/v1alpha1",
    "kind": "Resiliency",
    "metadata": {"name": "requests"},
    "spec": {
        "policies": {
            "retries": {"untilDone": {"policy": "constant", "duration": "500ms", "maxRetries": -1}}
        },
        "targets": {"components": {"pubsub": {"inbound": {"retry": "untilDone"}}}},
    },
}


@pytest.fixture
def impatient_resources(tmp_path: Path) -> Path:
    """Our components, with a broker that delivers again after a second instead of a minute."""
    folder = tmp_path / "components"
    shutil.copytree(REDIS_RESOURCES, folder)
    file = folder / "pubsub.yaml"
    component = yaml.safe_load(file.read_text())
    component["spec"]["metadata"] += [
        {"name": "processingTimeout", "value": "500"},
        {"name": "redeliverInterval", "value": "500"},
    ]
    file.write_text(yaml.safe_dump(component))
    (folder / "requests.yaml").write_text(yaml.safe_dump(RETRIES))
    return folder


@pytest.fixture
def behind(
    tmp_path: Path,
    impatient_resources: Path,
    dapr_binaries: DaprBinaries,
    redis_program: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Behind]:
    """A stack, not yet started: its daprd is only ready once its app listens."""
    monkeypatch.setenv("APP_API_TOKEN", TOKEN)
    port = free_port()
    stack = Stack.redis(
        tmp_path / "stack",
        resources=impatient_resources,
        sidecar_arguments=(
            f"--app-port={port}",
            "--app-protocol=grpc",
            "--enable-app-health-check",
            "--app-health-probe-interval=1",
            "--app-health-threshold=1",
        ),
    )
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    yield Behind(stack, port)
    stack.stop()


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer(default=answer("the answer")) as server:
        yield server


@pytest.fixture
async def agent(
    behind: Behind, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[DurableAgent]:
    """A started agent, served to its sidecar."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-test")
    agent = DurableAgent(
        "grpc agent",
        model="small",
        providers={"openai": OpenAIProvider(base_url=model.url)},
        persona_log_seconds=None,
    )
    async with behind.face as face:
        await face.enter_async_context(serve_grpc(agent, Address("127.0.0.1", behind.port)))
        # Each waits for the other: daprd is not ready before its app is healthy.
        starting = asyncio.create_task(agent.start())
        await asyncio.to_thread(behind.stack.start)
        await starting
        yield agent
    await agent.stop()


async def test_the_methods_are_invoked_through_the_sidecar(
    behind: Behind, agent: DurableAgent
) -> None:
    code, told = await behind.invoke(
        "run", {"message": "hello"}, Retunable_User="zoe", Retunable_Attributes='{"plan": "pro"}'
    )
    assert (code, told.get("text", told)) == (200, "the answer")
    explained = await agent.explain(told["run_id"])
    assert (explained.user_id, explained.attributes) == ("zoe", {"plan": "pro"})
    code, state = await behind.invoke("status", {"run_id": told["run_id"]})
    assert (code, state["state"]) == (200, "finished")
    code, report = await behind.invoke("config")
    assert (code, report["agent"]) == (200, "grpc agent")


async def test_a_user_beyond_ascii_comes_through_the_sidecar_percent_encoded(
    behind: Behind, agent: DurableAgent
) -> None:
    _, told = await behind.invoke("run", {"message": "m"}, Retunable_User="UTF-8''Zo%C3%AB")
    assert (await agent.explain(told["run_id"])).user_id == "Zoë"
    query = "?metadata.retunable-user=UTF-8%27%27Zo%25C3%25AB"
    await behind.publish({"message": "hello"}, event="e-1", query=query)
    (event,) = await behind.wait_for_answers(1)
    assert (await agent.explain(event["id"])).user_id == "Zoë"


async def test_errors_keep_their_meaning_through_the_sidecar(
    behind: Behind, agent: DurableAgent, model: ModelServer
) -> None:
    assert (await behind.invoke("run", {"message": "m", "user_id": "x"}))[0] == 400
    assert (await behind.invoke("status", {"run_id": "nobody"}))[0] == 404
    await behind.invoke("run", {"message": "one", "run_id": "r"})
    assert (await behind.invoke("run", {"message": "two", "run_id": "r"}))[0] == 409
    assert len(model.requests) == 1


async def test_a_message_on_the_topic_is_answered_under_the_id_of_its_run(
    behind: Behind, agent: DurableAgent
) -> None:
    await behind.publish(
        {"message": "hello", "conversation_id": "c"},
        event="e-1",
        query="?metadata.retunable-user=zoe",
    )
    (event,) = await behind.wait_for_answers(1)
    data = event["data"]
    assert (event["id"], event["type"]) == (data["run_id"], "retunable.run.answered")
    assert data["answer"]["text"] == "the answer"
    assert (data["agent"], data["request"]) == ("grpc agent", {"id": "e-1", "source": "shop"})
    explained = await agent.explain(data["run_id"])
    assert (explained.user_id, explained.status.conversation_id) == ("zoe", "c")


async def test_a_redelivered_message_starts_no_second_run(
    behind: Behind, agent: DurableAgent, model: ModelServer
) -> None:
    hold = threading.Event()
    model.script(answer("once", hold=hold))
    await behind.publish({"message": "hello"}, event="e-1")
    await asyncio.to_thread(model.wait_for_requests, 1)
    await behind.wait_for_redelivery()
    assert behind.answers() == []
    hold.set()
    await behind.wait_for_answers(1)
    await behind.publish({"message": "hello"}, event="e-1")
    events = await behind.wait_for_answers(2)
    assert {event["id"] for event in events} == {events[0]["id"]}
    assert {event["data"]["answer"]["text"] for event in events} == {"once"}
    assert len(model.requests) == 1
    assert len(await agent.runs()) == 1


class NeverPublished:
    """Takes an answer and keeps it: the agent ends before the broker has it."""

    def __init__(self) -> None:
        self.taken = asyncio.Event()

    async def publish(self, data: bytes, *, metadata: Mapping[str, str]) -> None:
        del data, metadata
        self.taken.set()
        await asyncio.Event().wait()


async def test_an_answer_that_was_not_published_when_the_agent_ended_is_published_by_the_next(
    behind: Behind, agent: DurableAgent, model: ModelServer
) -> None:
    await behind.leave()
    address, publisher = Address("127.0.0.1", behind.port), NeverPublished()
    async with serve_grpc(agent, address, publisher=publisher):
        await behind.publish({"message": "hello"}, event="e-1")
        await asyncio.wait_for(publisher.taken.wait(), 15)
        await behind.wait_for_redelivery()
    async with serve_grpc(agent, address):
        (event,) = await behind.wait_for_answers(1)
    assert event["data"]["answer"]["text"] == "the answer"
    assert len(model.requests) == 1


async def test_a_message_outlives_the_agent_that_handled_it(
    behind: Behind, agent: DurableAgent, model: ModelServer
) -> None:
    first, second = threading.Event(), threading.Event()
    model.script(answer("cut off", hold=first), answer("the second time", hold=second))
    address = Address("127.0.0.1", behind.port)
    await behind.publish({"message": "hello"}, event="e-1")
    await asyncio.to_thread(model.wait_for_requests, 1)
    await behind.leave()
    await agent.stop()
    assert behind.answers() == []
    async with serve_grpc(agent, address):
        await agent.start()
        second.set()
        (event,) = await behind.wait_for_answers(1)
        assert event["data"]["answer"]["text"] == "the second time"
        assert len(await agent.runs()) == 1
    first.set()


async def test_a_message_survives_a_sidecar_that_is_killed_while_it_is_handled(
    behind: Behind, agent: DurableAgent, model: ModelServer
) -> None:
    hold = threading.Event()
    model.script(answer("once", hold=hold))
    await behind.publish({"message": "hello"}, event="e-1")
    await asyncio.to_thread(model.wait_for_requests, 1)
    await asyncio.to_thread(behind.stack.sidecar.kill)
    await asyncio.to_thread(behind.stack.sidecar.start)
    hold.set()
    events = await behind.wait_for_answers(1)
    assert {event["data"]["answer"]["text"] for event in events} == {"once"}
    assert len(model.requests) == 1


def test_the_program_and_a_sidecar_that_waits_for_its_port_both_come_up(
    behind: Behind, tmp_path: Path
) -> None:
    told = {"APP_PORT": str(behind.port), "APP_PROTOCOL": "grpc", "RETUNABLE_HTTP": "127.0.0.1:0"}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")}
    program = ChildProcess(
        Launch(
            name="agent.py",
            command=[sys.executable, CHECKOUT / "agent.py"],
            log=tmp_path / "agent.log",
            environment=inherited | {"PYTHONPATH": str(CHECKOUT)} | told,
            working_directory=tmp_path,
        )
    )
    try:
        behind.stack.start()
        wait_until(lambda: _is_healthy(behind), what="an agent that takes runs", within_seconds=15)
        path = f"/v1.0/invoke/{behind.stack.sidecar.app_id}/method/run"
        code, told_back = behind.post(path, {"message": "Who are you?"})
        assert (code, told_back["text"][:23]) == (200, "I am Research Assistant")
        assert program.terminate(within_seconds=8) == 0
    finally:
        program.kill()


def _is_healthy(behind: Behind) -> bool:
    path = f"/v1.0/invoke/{behind.stack.sidecar.app_id}/method/status"
    code, told = behind.post(path)
    return code == 200 and bool(told["status"] in ("READY", "STALE"))


async def test_a_run_that_is_refused_for_now_is_not_tried_again_by_the_sidecar(
    behind: Behind,
) -> None:
    asked: list[Asked] = []

    def refuse(question: Asked) -> RunResult:
        asked.append(question)
        raise Unavailable("the scheduler is away", part="scheduler")

    agent = StandInAgent(answer=refuse)
    async with serve_grpc(agent, Address("127.0.0.1", behind.port)):
        await asyncio.to_thread(behind.stack.start)
        code, told = await behind.invoke("run", {"message": "m"})
    assert (code, told["message"]) == (503, "the scheduler is away")
    assert len(asked) == 1
