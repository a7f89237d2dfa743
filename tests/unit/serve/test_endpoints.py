"""The endpoints of one agent, asked without a socket in between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from retunable.agent.status import AgentStatus
from retunable.config.agent_config import AgentConfig
from retunable.config.constraints import Constraints
from retunable.config.items import Item
from retunable.errors import NotReady, RunFailed, RunTimeout, Unavailable
from retunable.live.health import Reason, Status
from retunable.serve.http import application
from retunable.serve.problem_route import MAX_BODY_BYTES
from retunable.serve.routes import router
from tests.unit.serve.standin import StandInAgent

PROBLEM = "application/problem+json"


def client_of(agent: StandInAgent, *, token: str | None = None) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(application(agent, token=token), raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765")


async def post(agent: StandInAgent, body: Any, **more: Any) -> httpx2.Response:
    async with client_of(agent) as client:
        return await client.post("/agent/runs", json=body, **more)


async def get(agent: StandInAgent, path: str, **more: Any) -> httpx2.Response:
    async with client_of(agent) as client:
        return await client.get(path, **more)


def raising(error: Exception) -> StandInAgent:
    def answer(_asked: object) -> Any:
        raise error

    return StandInAgent(answer=answer)


async def test_a_run_answers_with_its_text_and_configuration() -> None:
    response = await post(StandInAgent(), {"message": "hello", "run_id": "r-1"})
    assert response.status_code == 200
    body = response.json()
    assert (body["text"], body["run_id"]) == ("about hello", "r-1")
    assert body["effective_checksum"] == "1:sha256:00"


async def test_the_body_gives_conversation_run_and_deadline() -> None:
    agent = StandInAgent()
    body = {"message": "m", "conversation_id": "c", "run_id": "r", "deadline_seconds": 2.5}
    await post(agent, body)
    (asked,) = agent.asked
    assert (asked.conversation_id, asked.run_id, asked.deadline) == ("c", "r", 2.5)


async def test_user_and_attributes_come_from_headers_as_utf8() -> None:
    agent = StandInAgent()
    headers = {"Retunable-User": "Zoë".encode(), "Retunable-Attributes": b'{"plan": "pro"}'}
    await post(agent, {"message": "m"}, headers=headers)
    (asked,) = agent.asked
    assert asked.user_id == "Zoë"
    assert asked.attributes == {"plan": "pro"}


@pytest.mark.parametrize("field", ["user_id", "user", "attributes"])
async def test_who_asks_is_never_taken_from_the_body(field: str) -> None:
    agent = StandInAgent()
    response = await post(agent, {"message": "m", field: "someone"})
    assert response.status_code == 422
    assert agent.asked == []


@pytest.mark.parametrize("header", ["no json", "[1]", '{"a": 1}', '{"a": {"b": "c"}}'])
async def test_attributes_must_be_an_object_of_strings(header: str) -> None:
    response = await post(
        StandInAgent(), {"message": "m"}, headers={"Retunable-Attributes": header}
    )
    assert response.status_code == 422
    assert response.headers["content-type"] == PROBLEM


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": ""},
        {"message": 7},
        {"message": "m", "deadline_seconds": 0},
        {"message": "m", "deadline_seconds": "5"},
        {"message": "m", "run_id": ""},
        [],
        "m",
    ],
)
async def test_a_wrong_body_is_a_problem_that_names_the_place(body: object) -> None:
    response = await post(StandInAgent(), body)
    assert response.status_code == 422
    assert response.headers["content-type"] == PROBLEM
    assert response.json()["errors"][0]["where"].startswith("body")


@pytest.mark.parametrize(
    ("error", "status", "members"),
    [
        (Unavailable("placement is away", part="placement"), 503, {"part": "placement"}),
        (NotReady("never read", part="configuration store"), 503, {"part": "configuration store"}),
        (RunFailed("no", run_id="r", reason="guard"), 502, {"run_id": "r", "reason": "guard"}),
        (RunTimeout("late", run_id="r"), 504, {"run_id": "r"}),
    ],
)
async def test_each_error_of_a_run_has_its_status_and_members(
    error: Exception, status: int, members: dict[str, str]
) -> None:
    response = await post(raising(error), {"message": "m"})
    assert response.status_code == status
    assert response.headers["content-type"] == PROBLEM
    body = response.json()
    assert body["status"] == status
    assert body["detail"] == str(error)
    assert {name: body[name] for name in members} == members


async def test_an_unforeseen_error_is_a_problem_that_does_not_show_its_text() -> None:
    response = await post(raising(ValueError("password=hunter2")), {"message": "m"})
    assert response.status_code == 500
    assert response.headers["content-type"] == PROBLEM
    assert "hunter2" not in response.text


async def test_a_path_that_leads_nowhere_says_where_the_paths_are() -> None:
    response = await get(StandInAgent(), "/")
    assert (response.status_code, response.headers["content-type"]) == (404, PROBLEM)
    assert "/openapi.json" in response.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/x", 404), ("PUT", "/readyz", 405)]
)
async def test_unknown_paths_and_methods_are_problems(method: str, path: str, status: int) -> None:
    async with client_of(StandInAgent()) as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == PROBLEM


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_the_limit_is_refused(declared: bool) -> None:
    agent = StandInAgent()
    data = b'{"message": "' + b"x" * MAX_BODY_BYTES + b'"}'

    async def chunks() -> Any:
        for start in range(0, len(data), 65_536):
            yield data[start : start + 65_536]

    async with client_of(agent) as client:
        response = await client.post(
            "/agent/runs",
            content=data if declared else chunks(),
            headers={"Content-Type": "application/json"},
        )
    assert response.status_code == 413
    assert response.headers["content-type"] == PROBLEM
    assert agent.asked == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_only_json_is_taken_so_that_no_web_page_can_send_runs(kind: str) -> None:
    agent = StandInAgent()
    async with client_of(agent) as client:
        response = await client.post(
            "/agent/runs", content=b'{"message": "m"}', headers={"Content-Type": kind}
        )
    assert response.status_code == 415
    assert agent.asked == []


async def test_config_names_value_source_and_checksum_of_an_override() -> None:
    agent = StandInAgent(items={"agent_role": Item("Expert")}, revision=4)
    report = (await get(agent, "/agent/config")).json()
    assert report["config"]["role"] == "Expert"
    assert report["sources"]["role"]["key"] == "agent_role"
    assert report["sources"]["goal"]["layer"] == "default"
    assert report["overrides"] == {"role": "Expert"}
    assert report["checksums"] == {"effective": agent.snapshot.checksum, "version": None}
    assert report["revision"] == 4


async def test_config_shows_what_is_rejected_and_why() -> None:
    agent = StandInAgent(items={"max_iterations": Item("many")})
    (rejected,) = (await get(agent, "/agent/config")).json()["rejected"]
    assert rejected["key"] == "max_iterations"
    assert "must be an integer" in rejected["reason"]


async def test_config_answers_while_nothing_was_ever_read() -> None:
    agent = StandInAgent(
        items=None, status=AgentStatus(state=Status.NOT_READY, reason=Reason.UNREACHABLE)
    )
    response = await get(agent, "/agent/config")
    assert response.status_code == 200
    report = response.json()
    assert (report["config"], report["status"]) == (None, "NOT_READY")


CHECKED = {
    "what it allows": ({}, []),
    "a limit of the program": (
        {"max_iterations": 51},
        [
            {
                "fields": ["max_iterations"],
                "reason": "max_iterations must be at most 50 in this program",
            }
        ],
    ),
    "a tool that it has not": (
        {"tools": ["fly"]},
        [
            {
                "fields": ["tools"],
                "reason": "tools names 'fly', which this program has not registered",
            }
        ],
    ),
    "what is no value": (
        {"temperature": 9},
        [
            {
                "fields": ["temperature"],
                "reason": "temperature must be less than or equal to 2, got 9",
            }
        ],
    ),
}


@pytest.mark.parametrize(("values", "faults"), CHECKED.values(), ids=CHECKED.keys())
async def test_a_config_is_checked_against_what_the_program_allows(
    values: dict[str, Any], faults: list[dict[str, Any]]
) -> None:
    limits = Constraints(max_iterations=50, registered_tools=("search",))
    declaration = replace(StandInAgent().declaration, constraints=limits)
    config = AgentConfig(model="m", tools=("search",)).to_json() | values
    async with client_of(StandInAgent(declaration=declaration)) as client:
        reply = await client.post("/agent/config/check", json=config)

    assert reply.json() == {"faults": [{**fault, "flag": None} for fault in faults]}


@pytest.mark.parametrize(
    ("state", "code"),
    [(Status.READY, 200), (Status.STALE, 200), (Status.NOT_READY, 503), (Status.ERROR, 503)],
)
async def test_readyz_serves_while_there_is_a_configuration(state: Status, code: int) -> None:
    status = AgentStatus(state=state, reason=Reason.UNREACHABLE, detail="no store")
    response = await get(StandInAgent(status=status), "/readyz")
    assert response.status_code == code
    assert response.json() == {"status": state.name, "reason": "unreachable", "detail": "no store"}


async def test_healthz_does_not_depend_on_the_configuration() -> None:
    agent = StandInAgent(items=None, status=AgentStatus(state=Status.ERROR))
    assert (await get(agent, "/healthz")).status_code == 200


async def test_another_host_name_is_refused_without_a_token() -> None:
    response = await get(StandInAgent(), "/agent/config", headers={"Host": "evil.example:8765"})
    assert response.status_code == 421
    assert response.headers["content-type"] == PROBLEM


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8765", "LOCALHOST:80"])
async def test_names_of_this_machine_are_answered(host: str) -> None:
    response = await get(StandInAgent(), "/agent/config", headers={"Host": host})
    assert response.status_code == 200


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Basic s3cret", "Bearer ", "s3cret"])
@pytest.mark.parametrize("path", ["/agent/config", "/openapi.json", "/nothing"])
async def test_without_the_token_nothing_is_told(path: str, given: str | None) -> None:
    async with client_of(StandInAgent(), token="s3cret") as client:
        response = await client.get(path, headers={"Authorization": given} if given else {})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


async def test_the_token_opens_from_any_host_name() -> None:
    headers = {"Authorization": "Bearer s3cret", "Host": "agent.example"}
    async with client_of(StandInAgent(), token="s3cret") as client:
        assert (await client.get("/agent/config", headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_need_no_token(path: str) -> None:
    async with client_of(StandInAgent(), token="s3cret") as client:
        assert (await client.get(path, headers={"Host": "10.0.0.7"})).status_code == 200


async def test_openapi_describes_every_error_as_a_problem() -> None:
    document = (await get(StandInAgent(), "/openapi.json")).json()
    runs = [(path, how) for path, how in document["paths"].items() if "runs" in path]
    assert len(runs) == 6
    for _, methods in runs:
        for told in methods.values():
            errors = {code: r for code, r in told["responses"].items() if code >= "400"}
            assert errors
            assert {tuple(response["content"]) for response in errors.values()} == {(PROBLEM,)}


async def test_the_router_gives_problems_inside_the_users_own_app() -> None:
    app = FastAPI()
    app.include_router(router(raising(RunTimeout("late", run_id="r"))), prefix="/support")
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://any.example") as client:
        response = await client.post("/support/agent/runs", json={"message": "m"})
    assert response.status_code == 504
    assert response.headers["content-type"] == PROBLEM
