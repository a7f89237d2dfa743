"""The callback server on a real socket, called as daprd calls it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from dapr.proto import appcallback_service_v1, appcallback_v1, common_v1
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.empty_pb2 import Empty

from retunable.agent.runs.records import RunResult
from retunable.agent.status import AgentStatus
from retunable.errors import (
    ConfigurationError,
    ConversationBusy,
    RunFailed,
    RunTimeout,
    Unavailable,
)
from retunable.live.health import Status
from retunable.serve import grpc_app
from retunable.serve.grpc_app import serve_grpc
from retunable.serve.listening import Address
from tests.unit.serve.standin import Asked, StandInAgent, a_run
from tests.unit.serve.test_topic_requests import Answers

# Generated classes without annotations.
_APP: Any = appcallback_service_v1.AppCallbackStub
_HEALTH: Any = appcallback_service_v1.AppCallbackHealthCheckStub

ANYWHERE = Address("127.0.0.1", 0)
Metadata = tuple[tuple[str, str], ...]


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APP_API_TOKEN", raising=False)


class Caller:
    """What daprd is to its app."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._app = _APP(channel)
        self._health = _HEALTH(channel)

    async def invoke(self, method: str, body: Any = None, *metadata: tuple[str, str]) -> Any:
        data = Packed(value=b"" if body is None else json.dumps(body).encode())
        request = common_v1.InvokeRequest(method=method, data=data)
        reply = await self._app.OnInvoke(request, timeout=10, metadata=metadata)
        return json.loads(reply.data.value)

    async def deliver(self, body: Any, *metadata: tuple[str, str], event: str = "e-1") -> int:
        request = appcallback_v1.TopicEventRequest(
            id=event,
            source="shop",
            data=json.dumps(body).encode(),
            data_content_type="application/json",
            topic="agent.requests",
            pubsub_name="pubsub",
        )
        reply = await self._app.OnTopicEvent(request, timeout=10, metadata=metadata)
        return int(reply.status)

    async def topics(self) -> list[tuple[str, str]]:
        listed = await self._app.ListTopicSubscriptions(Empty(), timeout=10)
        return [(topic.pubsub_name, topic.topic) for topic in listed.subscriptions]

    async def health(self) -> None:
        await self._health.HealthCheck(Empty(), timeout=10)


@asynccontextmanager
async def called(agent: StandInAgent, answers: Answers | None = None) -> AsyncIterator[Caller]:
    async with (
        serve_grpc(agent, ANYWHERE, publisher=answers or Answers()) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Caller(channel)


def raising(error: Exception) -> StandInAgent:
    def answer(_asked: Asked) -> RunResult:
        raise error

    return StandInAgent(answer=answer)


class Endless(StandInAgent):
    """Never answers."""

    def hold(self) -> None:
        self.started, self.cut_off = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def run(self, *_words: Any, **_more: Any) -> Any:
        self.started.release()
        try:
            await asyncio.Event().wait()
        finally:
            self.cut_off.release()


async def test_run_status_and_config_are_invoked() -> None:
    agent = StandInAgent(kept={"r": a_run("r")})
    async with called(agent) as app:
        answer = await app.invoke("run", {"message": "hello"}, ("retunable-user", "zoe"))
        assert answer["text"] == "about hello"
        assert (await app.invoke("status"))["status"] == "READY"
        assert (await app.invoke("status", {"run_id": "r"}))["state"] == "finished"
        assert (await app.invoke("config"))["config"]["role"] == "Assistant"
    assert agent.asked[0].user_id == "zoe"


async def test_a_run_runs_on_the_agents_loop() -> None:
    loops = []

    def answer(_asked: Asked) -> Any:
        loops.append(asyncio.get_running_loop())
        raise RunTimeout("late", run_id="r")

    async with called(StandInAgent(answer=answer)) as app:
        with contextlib.suppress(grpc.aio.AioRpcError):
            await app.invoke("run", {"message": "m"})
    assert loops == [asyncio.get_running_loop()]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConversationBusy("c", holder="r-0"), grpc.StatusCode.ABORTED),
        (RunTimeout("late", run_id="r"), grpc.StatusCode.DEADLINE_EXCEEDED),
        (Unavailable("no sidecar", part="sidecar"), grpc.StatusCode.UNAVAILABLE),
        (RunFailed("failed", run_id="r", reason="guard"), grpc.StatusCode.INTERNAL),
    ],
)
async def test_each_error_has_its_code_and_its_words(error: Exception, code: Any) -> None:
    async with called(raising(error)) as app:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await app.invoke("run", {"message": "m"})
    assert (refused.value.code(), refused.value.details()) == (code, str(error))


async def test_an_unforeseen_error_is_logged_and_its_text_is_not_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with called(raising(ValueError("password=hunter2"))) as app:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await app.invoke("run", {"message": "m"})
    assert refused.value.code() is grpc.StatusCode.INTERNAL
    assert "hunter2" not in str(refused.value.details())
    assert "hunter2" in caplog.text


@pytest.mark.parametrize(
    ("method", "body", "code"),
    [
        ("run", None, grpc.StatusCode.INVALID_ARGUMENT),
        ("run", {"message": "m", "user_id": "x"}, grpc.StatusCode.INVALID_ARGUMENT),
        ("status", {"run_id": "nobody"}, grpc.StatusCode.NOT_FOUND),
        ("reboot", None, grpc.StatusCode.UNIMPLEMENTED),
    ],
)
async def test_a_wrong_call_is_told_what_is_wrong(method: str, body: Any, code: Any) -> None:
    async with called(StandInAgent()) as app:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await app.invoke(method, body)
    assert refused.value.code() is code


WITH_TOKEN = ("dapr-api-token", "s3cret")
CALLS: list[Callable[..., Any]] = [
    lambda app, *token: app.invoke("config", None, *token),
    lambda app, *token: app.deliver({"message": "m"}, *token),
]


@pytest.mark.parametrize("call", CALLS, ids=["invoke", "topic"])
@pytest.mark.parametrize("token", [(), (("dapr-api-token", "wrong"),)], ids=["none", "wrong"])
async def test_without_the_token_nothing_is_done(
    call: Callable[..., Any], token: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_API_TOKEN", "s3cret")
    agent = StandInAgent()
    async with called(agent) as app:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(app, *token)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert agent.asked == []
        await call(app, WITH_TOKEN)


async def test_what_daprd_asks_without_its_token_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APP_API_TOKEN", "s3cret")
    async with called(StandInAgent()) as app:
        await app.health()
        assert await app.topics() == [("pubsub", "agent.requests")]


@pytest.mark.parametrize("state", list(Status))
async def test_it_is_healthy_while_the_agent_takes_runs(state: Status) -> None:
    async with called(StandInAgent(status=AgentStatus(state=state, detail="why"))) as app:
        if state in (Status.READY, Status.STALE):
            await app.health()
        else:
            with pytest.raises(grpc.aio.AioRpcError, match="why") as ill:
                await app.health()
            assert ill.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_delivered_message_is_answered_and_acknowledged() -> None:
    answers = Answers()
    async with called(StandInAgent(), answers) as app:
        assert await app.deliver({"message": "hello"}) == 0
        assert await app.deliver({"message": ""}, event="e-2") == 2
    assert answers.published[0][0]["answer"]["text"] == "about hello"


async def test_a_caller_that_goes_away_ends_the_wait() -> None:
    agent = Endless()
    agent.hold()
    async with called(agent) as app:
        asking = asyncio.create_task(app.invoke("run", {"message": "m"}))
        await agent.started.acquire()
        asking.cancel()
        await agent.cut_off.acquire()


async def test_waiting_callers_leave_room_for_health(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_app, "MOST_WAITING", 2)
    agent = Endless()
    agent.hold()
    async with called(agent) as app:
        waiting = [asyncio.create_task(app.invoke("run", {"message": "m"})) for _ in range(2)]
        for _ in waiting:
            await agent.started.acquire()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await app.invoke("run", {"message": "m"})
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await app.health()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(error, BaseException) for error in ended)


async def test_a_port_in_use_is_told_with_the_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = Address("127.0.0.1", other.getsockname()[1])
        with pytest.raises(ConfigurationError, match="another --app-port"):
            await serve_grpc(StandInAgent(), address, publisher=Answers()).__aenter__()


async def test_two_agents_do_not_share_a_port() -> None:
    async with serve_grpc(StandInAgent(), ANYWHERE, publisher=Answers()) as address:
        same = Address.parse(address)
        with pytest.raises(ConfigurationError, match="another --app-port"):
            await serve_grpc(StandInAgent(), same, publisher=Answers()).__aenter__()
