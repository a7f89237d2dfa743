"""Runs of a real agent over HTTP, on a real daprd."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dev.stack import RedisStack
from retunable import DurableAgent, OpenAIProvider, tool
from retunable.serve.http import serve_http
from retunable.testing import ModelServer, answer, tool_calls

pytestmark = pytest.mark.redis


@tool
def add(first: int, second: int) -> int:
    """Add two numbers."""
    return first + second


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    with ModelServer(default=answer("the answer")) as server:
        yield server


@pytest.fixture
async def client(
    redis_stack: RedisStack, model: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a started agent."""
    for name, value in redis_stack.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-test")
    monkeypatch.delenv("RETUNABLE_HTTP_TOKEN", raising=False)
    agent = DurableAgent(
        "http agent",
        model="small",
        providers={"openai": OpenAIProvider(base_url=model.url)},
        tools=[add],
        persona_log_seconds=None,
    )
    async with (
        agent,
        serve_http(agent, "127.0.0.1:0", agents_folder=tmp_path) as url,
        httpx2.AsyncClient(base_url=url, timeout=20) as client,
    ):
        yield client


async def test_a_run_is_accepted_looked_at_and_explained(client: httpx2.AsyncClient) -> None:
    headers = {"Prefer": "respond-async", "Retunable-User": "zoe"}
    accepted = await client.post("/agent/runs", json={"message": "hello"}, headers=headers)
    assert accepted.status_code == 202
    place = accepted.headers["location"]
    async with client.stream("GET", f"{place}/steps") as steps:
        told = "".join([text async for text in steps.aiter_text()])
    assert told.count("event: end") == 1
    state = (await client.get(place)).json()
    assert (state["state"], state["text"]) == ("finished", "the answer")
    explained = (await client.get(f"{place}/explain")).json()
    assert (explained["message"], explained["user_id"]) == ("hello", "zoe")
    assert explained["steps"][0]["config"]["model"] == "small"
    assert (await client.get("/agent/runs")).json()["runs"] == [state]


async def test_a_request_sent_again_with_its_key_is_not_paid_for_again(
    client: httpx2.AsyncClient, model: ModelServer
) -> None:
    async def ask(message: str) -> httpx2.Response:
        headers = {"Idempotency-Key": "order-17"}
        return await client.post("/agent/runs", json={"message": message}, headers=headers)

    first, second = await asyncio.gather(ask("hello"), ask("hello"))
    third = await ask("hello")
    assert first.json() == second.json() == third.json()
    assert len(model.requests) == 1
    assert (await ask("another")).status_code == 409


async def test_steps_come_while_the_run_goes_on(
    client: httpx2.AsyncClient, model: ModelServer
) -> None:
    hold = threading.Event()
    model.script(tool_calls(("add", {"first": 1, "second": 2})), answer("3", hold=hold))
    body = {"message": "1 + 2?", "run_id": "sum/1", "wait": False}
    place = (await client.post("/agent/runs", json=body)).headers["location"]
    results: list[Any] = []
    async with client.stream("GET", f"{place}/steps") as steps:
        async for line in steps.aiter_lines():
            if line.startswith("data: ") and "calls" in (data := json.loads(line[6:])):
                results += [call["result"] for call in data["calls"]]
                if "3" in results:
                    hold.set()
    assert (await client.get(place)).json()["text"] == "3"
    assert "3" in results


async def test_a_conversation_is_busy_until_its_run_is_stopped_and_then_forgotten(
    client: httpx2.AsyncClient, model: ModelServer
) -> None:
    hold = threading.Event()
    model.script(answer("never", hold=hold))
    body = {"message": "wait", "conversation_id": "c/1", "run_id": "r-1", "wait": False}
    await client.post("/agent/runs", json=body)
    await asyncio.to_thread(model.wait_for_requests, 1)
    other = {"message": "me too", "conversation_id": "c/1"}
    busy = await client.post("/agent/runs", json=other)
    assert (busy.status_code, busy.json()["holder"]) == (409, "r-1")
    assert (await client.post("/agent/runs/r-1/stop")).json()["state"] == "stopped"
    hold.set()
    assert (await client.post("/agent/runs", json=other)).status_code == 200
    forgotten = await client.delete("/agent/conversations/c%2F1")
    assert forgotten.json() == {"conversation_id": "c/1", "runs": 2}
    assert (await client.get("/agent/runs/r-1")).json()["state"] == "forgotten"
    assert (await client.post("/agent/runs", json=body | {"wait": True})).status_code == 410
