"""The endpoints of runs and conversations. Decides what may come from a body and what only from headers."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from retunable.agent.runs.views import Explanation, RunState, RunStatus
from retunable.serve.caller import ATTRIBUTES_NAME, LONGEST_USER_TEXT, USER_NAME, Caller
from retunable.serve.problems import documented, refused
from retunable.serve.progress import MEDIA_TYPE, events
from retunable.serve.run_ids import run_id_of_key
from retunable.serve.run_models import (
    PRINTABLE,
    Feedback,
    Forgotten,
    RunAnswer,
    RunList,
    RunRequest,
)
from retunable.serve.served import ServedAgent

MOST_RUNS: Final = 500
"""How many runs an agent lists."""

UserHeader = Annotated[
    str | None,
    Header(
        alias=USER_NAME,
        max_length=LONGEST_USER_TEXT,
        description="set by a gateway, in UTF-8 or as UTF-8''percent-encoded (RFC 8187)",
    ),
]
AttributesHeader = Annotated[
    str | None,
    Header(alias=ATTRIBUTES_NAME, description="a JSON object of strings, set by a gateway"),
]
KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=256,
        description="the same key of the same user is the same run, however often it is sent",
    ),
]
PreferHeader = Annotated[
    list[str] | None, Header(alias="Prefer", description="respond-async asks for no wait")
]
# A run id is whatever its caller chose, slashes too.
RunId = Annotated[str, Path(min_length=1, max_length=256, pattern=PRINTABLE)]
ConversationId = Annotated[str, Path(min_length=1, max_length=256, pattern=PRINTABLE)]
Limit = Annotated[int, Query(ge=1, le=MOST_RUNS)]

_ASKED = (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
_ONE = (HTTPStatus.NOT_FOUND, *_ASKED)


def add_runs(routes: APIRouter, agent: ServedAgent) -> None:
    """Add the endpoints that take, list and end runs."""
    _add_run(routes, agent)
    _add_list(routes, agent)
    # Before the run itself, whose path would take these words for a part of the id.
    _add_explain(routes, agent)
    _add_steps(routes, agent)
    _add_stop(routes, agent)
    _add_feedback(routes, agent)
    _add_state(routes, agent)
    _add_forget(routes, agent)


def _add_run(routes: APIRouter, agent: ServedAgent) -> None:
    @routes.post(
        "/agent/runs",
        response_model=RunAnswer,
        tags=["runs"],
        summary="Run the agent on one message",
        responses={
            HTTPStatus.ACCEPTED.value: {
                "model": RunStatus,
                "description": "The run goes on; Location says where to look",
            },
            **documented(
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.CONFLICT,
                HTTPStatus.GONE,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                *_ASKED,
                HTTPStatus.BAD_GATEWAY,
                HTTPStatus.GATEWAY_TIMEOUT,
            ),
        },
    )
    async def run(
        http: Request,
        request: RunRequest,
        user: UserHeader = None,
        attributes: AttributesHeader = None,
        key: KeyHeader = None,
        prefer: PreferHeader = None,
    ) -> Any:
        caller = _caller(user, attributes)
        asked = caller.asks(
            conversation_id=request.conversation_id, run_id=_run_id(request, key, caller)
        )
        if _respond_async(prefer or []):
            applied = {"Preference-Applied": "respond-async"}
            return _accepted(http, await agent.begin(request.message, **asked), applied)
        if not request.wait:
            return _accepted(http, await agent.begin(request.message, **asked))
        result = await agent.run(request.message, deadline=request.deadline_seconds, **asked)
        return RunAnswer.model_validate(result)


def _add_list(routes: APIRouter, agent: ServedAgent) -> None:
    @routes.get(
        "/agent/runs",
        tags=["runs"],
        summary="The latest runs, newest first",
        responses=documented(*_ASKED),
    )
    async def runs(limit: Limit = 50, status: RunState | None = None) -> RunList:
        if status is None:
            return RunList(runs=await agent.runs(limit=limit))
        fitting = [run for run in await agent.runs(limit=MOST_RUNS) if run.state is status]
        return RunList(runs=tuple(fitting[:limit]))


def _add_state(routes: APIRouter, agent: ServedAgent) -> None:
    @routes.get(
        "/agent/runs/{run_id:path}",
        tags=["runs"],
        summary="How a run is now, with its answer if it has one",
        responses=documented(*_ONE),
    )
    async def run_state(run_id: RunId) -> RunStatus:
        return await agent.run_state(run_id)


def _add_explain(routes: APIRouter, agent: ServedAgent) -> None:
    @routes.get(
        "/agent/runs/{run_id:path}/explain",
        response_model=Explanation,
        tags=["runs"],
        summary="Everything that is kept of a run: its steps and what gave each answer",
        responses=documented(*_ONE),
    )
    async def explain(run_id: RunId) -> Response:
        # The agent's own values: checked again they cost more than the look itself.
        return JSONResponse((await agent.explain(run_id)).to_json())


def _add_steps(routes: APIRouter, agent: ServedAgent) -> None:
    @routes.get(
        "/agent/runs/{run_id:path}/steps",
        tags=["runs"],
        summary="The steps of a run as they come, as server-sent events",
        response_class=StreamingResponse,
        responses={
            HTTPStatus.OK.value: {
                "description": "Events `step`, then one `end` with the run as it is then, or one "
                "`error` with a problem",
                "content": {MEDIA_TYPE: {}},
            },
            **documented(*_ONE),
        },
    )
    async def steps(run_id: RunId) -> Response:
        await agent.run_state(run_id)
        return StreamingResponse(
            events(agent, run_id), media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"}
        )


def _add_stop(routes: APIRouter, agent: ServedAgent) -> None:
    @routes.post(
        "/agent/runs/{run_id:path}/stop",
        tags=["runs"],
        summary="End a run without an answer; one that is over stays as it is",
        responses=documented(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, *_ONE),
    )
    async def stop(run_id: RunId) -> RunStatus:
        return await agent.stop_run(run_id)


def _add_feedback(routes: APIRouter, agent: ServedAgent) -> None:
    @routes.post(
        "/agent/runs/{run_id:path}/feedback",
        status_code=HTTPStatus.NO_CONTENT,
        tags=["runs"],
        summary="Rate the answer of a run; the last rating of a user counts",
        responses=documented(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.GONE,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            *_ONE,
        ),
    )
    async def feedback(run_id: RunId, given: Feedback, user: UserHeader = None) -> None:
        caller = _caller(user, None)
        await agent.feedback(run_id, given.rating, user_id=caller.user_id)


def _add_forget(routes: APIRouter, agent: ServedAgent) -> None:
    @routes.delete(
        "/agent/conversations/{conversation_id:path}",
        tags=["conversations"],
        summary="Erase what was said in a conversation; which configurations answered stays",
        responses=documented(*_ONE),
    )
    async def forget(conversation_id: ConversationId) -> Forgotten:
        runs = await agent.forget(conversation_id)
        return Forgotten(conversation_id=conversation_id, runs=runs)


def _accepted(
    http: Request, status: RunStatus, headers: Mapping[str, str] | None = None
) -> Response:
    # Below the path that was asked: an app may include the router anywhere.
    place = {"Location": f"{http.url.path.rstrip('/')}/{quote(status.run_id, safe='')}"}
    return JSONResponse(
        status.to_json(), status_code=HTTPStatus.ACCEPTED, headers={**place, **(headers or {})}
    )


def _run_id(request: RunRequest, key: str | None, caller: Caller) -> str | None:
    if key is None:
        return request.run_id
    if request.run_id is not None:
        raise refused(
            HTTPStatus.UNPROCESSABLE_ENTITY, "send either Idempotency-Key or run_id, not both"
        )
    return run_id_of_key(key, user_id=caller.user_id)


def _respond_async(preferences: list[str]) -> bool:
    parts = [part for value in preferences for part in value.split(",")]
    return any(part.partition(";")[0].strip().lower() == "respond-async" for part in parts)


def _caller(user: str | None, attributes: str | None) -> Caller:
    return Caller.of(
        user=None if user is None else _unicode(user, USER_NAME),
        attributes=None if attributes is None else _unicode(attributes, ATTRIBUTES_NAME),
    )


def _unicode(header: str, name: str) -> str:
    """Read a header as UTF-8; HTTP itself hands over bytes as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError as error:
        raise refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} must be UTF-8") from error
