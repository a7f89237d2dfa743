"""The endpoints of runs and conversations, asked without a socket in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from retunable.agent.runs.views import ExplainedCall, ExplainedStep, RunState
from retunable.errors import (
    ConversationBusy,
    RunForgotten,
    RunIdConflict,
    Unavailable,
)
from retunable.serve.http import application
from retunable.serve.progress import GOES_ON, events
from retunable.serve.routes import router
from tests.unit.serve.standin import StandInAgent, a_run, a_step

PROBLEM = "application/problem+json"
BUSY = ConversationBusy("c", holder="r-0")


async def ask(
    agent: StandInAgent, method: str, path: str, *, body: Any = None, **headers: str
) -> httpx2.Response:
    transport = httpx2.ASGITransport(application(agent), raise_app_exceptions=False)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as client:
        return await client.request(method, path, json=body, headers=named)


async def begin(agent: StandInAgent, *, body: Any = None, **headers: str) -> httpx2.Response:
    return await ask(agent, "POST", "/agent/runs", body={"message": "m"} | (body or {}), **headers)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"wait": False}, {}),
        ({}, {"Prefer": "respond-async"}),
        ({}, {"Prefer": 'handling=lenient, Respond-Async; x="y"'}),
    ],
)
async def test_a_run_that_is_not_waited_for_is_accepted_with_its_place(
    body: dict[str, Any], headers: dict[str, str]
) -> None:
    agent = StandInAgent()
    response = await begin(agent, body={"run_id": "a/b ?", **body}, **headers)
    assert response.status_code == 202
    assert response.json()["state"] == "running"
    assert response.headers["location"] == "/agent/runs/a%2Fb%20%3F"
    assert ("preference-applied" in response.headers) is bool(headers)
    there = await ask(agent, "GET", response.headers["location"])
    assert (there.status_code, there.json()["run_id"]) == (200, "a/b ?")


async def test_the_place_of_a_run_lies_where_the_router_was_included() -> None:
    app = FastAPI()
    app.include_router(router(StandInAgent()), prefix="/support")
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://any.example") as client:
        body = {"message": "m", "run_id": "r-1", "wait": False}
        response = await client.post("/support/agent/runs", json=body)
    assert response.headers["location"] == "/support/agent/runs/r-1"


async def test_a_key_sent_twice_is_one_run_and_another_users_key_is_another() -> None:
    agent = StandInAgent()
    for user in ("zoe", "zoe", "max"):
        await begin(agent, Idempotency_Key="k-1", Retunable_User=user)
    first, second, other = (asked.run_id for asked in agent.asked)
    assert first == second == "key-588662316cb82f4282d92c4d11904dad"
    assert other not in (None, first)


async def test_a_key_beside_a_run_id_is_refused() -> None:
    agent = StandInAgent()
    response = await begin(agent, body={"run_id": "r"}, Idempotency_Key="k")
    assert (response.status_code, agent.asked) == (422, [])


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize(
    ("error", "status", "members"),
    [
        (BUSY, 409, {"type": "urn:retunable:conversation-busy", "holder": "r-0"}),
        (RunIdConflict("r"), 409, {"type": "urn:retunable:run-id-conflict", "run_id": "r"}),
        (RunForgotten("r"), 410, {"run_id": "r"}),
        (Unavailable("gone", part="sidecar"), 503, {"part": "sidecar"}),
    ],
)
async def test_what_keeps_a_run_from_beginning_is_a_problem(
    error: Exception, status: int, members: dict[str, str], wait: bool
) -> None:
    def refuse(_asked: object) -> Any:
        raise error

    response = await begin(StandInAgent(answer=refuse, away=error), body={"wait": wait})
    assert response.status_code == status
    assert response.headers["content-type"] == PROBLEM
    body = response.json()
    assert {name: body[name] for name in members} == members


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/agent/runs/nobody"),
        ("GET", "/agent/runs/nobody/explain"),
        ("GET", "/agent/runs/nobody/steps"),
        ("POST", "/agent/runs/nobody/stop"),
    ],
)
async def test_a_run_that_is_not_kept_is_not_found(method: str, path: str) -> None:
    response = await ask(StandInAgent(), method, path)
    assert response.status_code == 404
    assert response.headers["content-type"] == PROBLEM
    assert response.json()["run_id"] == "nobody"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/agent/runs"),
        ("GET", "/agent/runs/r"),
        ("GET", "/agent/runs/r/explain"),
        ("GET", "/agent/runs/r/steps"),
        ("POST", "/agent/runs/r/stop"),
        ("DELETE", "/agent/conversations/c"),
    ],
)
async def test_a_part_that_is_away_is_named(method: str, path: str) -> None:
    agent = StandInAgent(away=Unavailable("gone", part="state store"))
    response = await ask(agent, method, path)
    assert (response.status_code, response.json()["part"]) == (503, "state store")


async def test_runs_are_listed_newest_first_and_no_more_than_asked_for() -> None:
    agent = StandInAgent(kept={name: a_run(name) for name in ("r-1", "r-2", "r-3")})
    listed = (await ask(agent, "GET", "/agent/runs?limit=2")).json()["runs"]
    assert [run["run_id"] for run in listed] == ["r-3", "r-2"]


async def test_runs_of_one_state_are_found_behind_those_of_others() -> None:
    kept = {"old": a_run("old", RunState.RUNNING)} | {f"r{n}": a_run(f"r{n}") for n in range(9)}
    listed = await ask(StandInAgent(kept=kept), "GET", "/agent/runs?limit=1&status=running")
    assert [run["run_id"] for run in listed.json()["runs"]] == ["old"]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "status=done"])
async def test_a_list_of_another_kind_is_refused(query: str) -> None:
    response = await ask(StandInAgent(), "GET", f"/agent/runs?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["where"].startswith("query")


async def test_an_explanation_is_everything_that_is_kept() -> None:
    step = a_step(calls=(ExplainedCall(call_id="r.1.0", name="add", arguments="{}", result="3"),))
    agent = StandInAgent(kept={"r": a_run("r")}, steps=(step,))
    told = (await ask(agent, "GET", "/agent/runs/r/explain")).json()
    assert told == json.loads(json.dumps((await agent.explain("r")).to_json()))
    assert told["steps"][0]["system_prompt"] == "You are Assistant."


async def test_a_run_id_with_slashes_is_explained_and_stopped() -> None:
    agent = StandInAgent(kept={"a/b": a_run("a/b", RunState.RUNNING)})
    assert (await ask(agent, "GET", "/agent/runs/a%2Fb/explain")).status_code == 200
    assert (await ask(agent, "POST", "/agent/runs/a%2Fb/stop")).json()["state"] == "stopped"


async def test_stop_leaves_a_run_that_is_over_as_it_is() -> None:
    agent = StandInAgent(kept={"r": a_run("r")})
    response = await ask(agent, "POST", "/agent/runs/r/stop")
    assert (response.status_code, response.json()["state"]) == (200, "finished")


async def test_a_web_page_cannot_stop_a_run_by_sending_an_empty_form() -> None:
    agent = StandInAgent(kept={"r": a_run("r", RunState.RUNNING)})
    response = await ask(agent, "POST", "/agent/runs/r/stop", Origin="http://evil.example")
    assert response.status_code == 415
    assert agent.kept["r"].state is RunState.RUNNING


async def test_a_rating_is_kept_for_the_user_whom_the_gateway_names() -> None:
    agent = StandInAgent(kept={"a/b": a_run("a/b")})
    response = await ask(
        agent,
        "POST",
        "/agent/runs/a%2Fb/feedback",
        body={"rating": "down"},
        Retunable_User="zoe",
    )
    assert (response.status_code, response.content) == (204, b"")
    assert agent.rated == [("a/b", "down", "zoe")]


@pytest.mark.parametrize(
    "body", [{}, {"rating": 1}, {"rating": "UP"}, {"rating": "up", "user_id": "zoe"}, ["up"]]
)
async def test_what_is_no_rating_is_a_problem(body: Any) -> None:
    agent = StandInAgent(kept={"r": a_run("r")})
    response = await ask(agent, "POST", "/agent/runs/r/feedback", body=body)
    assert (response.status_code, response.headers["content-type"]) == (422, PROBLEM)
    assert agent.rated == []


async def test_a_rating_of_a_run_that_is_not_kept_is_not_found() -> None:
    response = await ask(
        StandInAgent(), "POST", "/agent/runs/nobody/feedback", body={"rating": "up"}
    )
    assert (response.status_code, response.headers["content-type"]) == (404, PROBLEM)


async def test_an_empty_user_is_refused_over_http() -> None:
    response = await begin(StandInAgent(), Retunable_User="")
    assert response.status_code == 422
    assert "without a user" in response.json()["detail"]


async def test_feedback_is_in_openapi() -> None:
    described = (await ask(StandInAgent(), "GET", "/openapi.json")).json()
    route = described["paths"]["/agent/runs/{run_id}/feedback"]["post"]
    assert {"204", "404", "410", "422", "503"} <= set(route["responses"])


async def test_forget_tells_how_many_runs_were_erased() -> None:
    agent = StandInAgent(conversations={"c/1": 4})
    response = await ask(agent, "DELETE", "/agent/conversations/c%2F1")
    assert (response.status_code, response.json()) == (200, {"conversation_id": "c/1", "runs": 4})
    assert agent.conversations == {}


async def test_steps_come_as_events_without_prompts_and_end_with_the_run() -> None:
    agent = StandInAgent(
        kept={"r": a_run("r", RunState.RUNNING)}, steps=(a_step(1, text="é\n"), a_step(2))
    )
    response = await ask(agent, "GET", "/agent/runs/r/steps")
    assert response.headers["content-type"].startswith("text/event-stream")
    first, second, end = [_parsed(frame) for frame in response.text.strip().split("\n\n")]
    assert (first[0], first[1]["text"], second[1]["record"]["step"]) == ("step", "é\n", 2)
    assert set(first[1]) == {"record", "text", "notice", "calls", "checks"}
    assert (end[0], end[1]["state"]) == ("end", "finished")


async def test_a_part_that_goes_away_while_steps_come_is_the_last_event() -> None:
    class Fragile(StandInAgent):
        async def follow(self, run_id: str) -> AsyncIterator[ExplainedStep]:
            del run_id
            yield a_step()
            raise Unavailable("gone", part="state store")

    frames = [frame async for frame in events(Fragile(), "r")]
    assert [_parsed(frame.decode())[0] for frame in frames] == ["step", "error"]
    assert _parsed(frames[1].decode())[1]["part"] == "state store"


async def test_a_silent_run_is_still_heard_of() -> None:
    frames = events(Slow(kept={"r": a_run("r")}), "r", silence_seconds=0.01)
    assert [await anext(frames), await anext(frames)] == [GOES_ON, GOES_ON]
    await frames.aclose()


async def test_a_listener_that_goes_away_ends_the_following() -> None:
    agent = Slow(kept={"r": a_run("r")})
    frames = events(agent, "r", silence_seconds=0.01)
    await anext(frames)
    await frames.aclose()
    await agent.left.wait()


class Slow(StandInAgent):
    """A run without any step, that goes on for ever."""

    async def follow(self, run_id: str) -> AsyncIterator[ExplainedStep]:
        del run_id
        self.left = asyncio.Event()
        try:
            await asyncio.Event().wait()
            yield a_step()
        finally:
            self.left.set()


def _parsed(frame: str) -> tuple[str, Any]:
    name, data = frame.strip().split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@pytest.mark.parametrize(
    "body",
    [
        rb'{"message": "\ud800"}',
        rb'{"message": "m", "\ud800": 1}',
        rb'{"message": "m", "run_id": "\udfff"}',
        rb'{"message": "m", "run_id": "a\nb"}',
        rb'{"message": "m", "deadline_seconds": NaN}',
        rb'{"message": "m", "deadline_seconds": 1e999}',
        b'{"message": "m", "deadline_seconds": 1' + b"0" * 5000 + b"}",
        b"[" * 100_000,
        b'{"message": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"",
    ],
    ids=range(11),
)
async def test_a_body_that_nobody_would_write_is_refused(body: bytes) -> None:
    agent = StandInAgent()
    transport = httpx2.ASGITransport(application(agent), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as client:
        headers = {"Content-Type": "application/json"}
        response = await client.post("/agent/runs", content=body, headers=headers)
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == PROBLEM
    assert agent.asked == []


@pytest.mark.parametrize("attributes", [r'{"a": "\ud800"}', r'{"\ud800": "a"}', "[" * 100_000])
async def test_attributes_that_cannot_be_kept_are_refused(attributes: str) -> None:
    response = await begin(StandInAgent(), Retunable_Attributes=attributes)
    assert response.status_code == 422
