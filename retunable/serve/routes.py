"""The HTTP endpoints of one agent, as a router that any FastAPI app can include.

Decides what may come from a body and what only from headers. Who may ask at all is decided by
``gate`` for the served app, and by the user's own app where the router is included there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

from retunable.serve.models import ConfigReport, Health, Readiness, RunAnswer, RunRequest
from retunable.serve.problems import FORESEEN, documented, refused, response_to
from retunable.serve.served import ServedAgent

MAX_BODY_BYTES: Final = 1_048_576
SERVING: Final = frozenset({"READY", "STALE"})

UserHeader = Annotated[str | None, Header(alias="Retunable-User", max_length=256)]
AttributesHeader = Annotated[
    str | None,
    Header(alias="Retunable-Attributes", description="a JSON object of strings, set by a gateway"),
]


def router(agent: ServedAgent) -> APIRouter:
    """Return the endpoints of an agent that was started, or will be, by its owner."""
    routes = APIRouter(route_class=ProblemRoute)
    _add_runs(routes, agent)
    _add_config(routes, agent)
    _add_health(routes, agent)
    return routes


class ProblemRoute(APIRoute):
    """A route whose body is bounded and whose foreseen errors are problems, in any app."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                _check_content(request)
                return await handler(Request(request.scope, _bounded(request.receive)))
            except FORESEEN as error:
                return response_to(error)

        return answer


def _add_runs(routes: APIRouter, agent: ServedAgent) -> None:
    @routes.post(
        "/agent/runs",
        response_model=RunAnswer,
        tags=["agent"],
        summary="Run the agent on one message",
        responses=documented(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.BAD_GATEWAY,
            HTTPStatus.SERVICE_UNAVAILABLE,
            HTTPStatus.GATEWAY_TIMEOUT,
        ),
    )
    async def run(
        request: RunRequest,
        user: UserHeader = None,
        attributes: AttributesHeader = None,
    ) -> RunAnswer:
        result = await agent.run(
            request.message,
            conversation_id=request.conversation_id,
            user_id=None if user is None else _unicode(user, "Retunable-User"),
            attributes=None if attributes is None else _attributes(attributes),
            run_id=request.run_id,
            deadline=request.deadline_seconds,
        )
        return RunAnswer.model_validate(result)


def _add_config(routes: APIRouter, agent: ServedAgent) -> None:
    @routes.get("/agent/config", tags=["agent"], summary="What the agent runs on, and from where")
    async def config() -> ConfigReport:
        return ConfigReport.of(agent)


def _add_health(routes: APIRouter, agent: ServedAgent) -> None:
    @routes.get("/healthz", tags=["health"], summary="Whether the process serves")
    async def healthz() -> Health:
        return Health()

    @routes.get(
        "/readyz",
        tags=["health"],
        summary="Whether the agent takes runs",
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "NOT_READY or ERROR"}},
    )
    async def readyz() -> Response:
        readiness = Readiness.of(agent.status)
        code = HTTPStatus.OK if readiness.status in SERVING else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse(readiness.model_dump(), status_code=code)


def _check_content(request: Request) -> None:
    """Refuse a body that is not JSON: a web page may send other types without being asked."""
    if request.method != "POST":
        return
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()


def _bounded(receive: Receive) -> Receive:
    """Count what arrives: a chunked body declares no length."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY_BYTES:
            raise _too_large()
        return message

    return bounded


def _too_large() -> Exception:
    return refused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MAX_BODY_BYTES} bytes"
    )


def _attributes(header: str) -> dict[str, str]:
    text = _unicode(header, "Retunable-Attributes")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _bad_attributes() from error
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise _bad_attributes()
    return value


def _bad_attributes() -> Exception:
    return refused(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        'Retunable-Attributes must be a JSON object of strings, like {"plan": "pro"}',
    )


def _unicode(header: str, name: str) -> str:
    """Read a header as UTF-8; HTTP itself hands over bytes as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError as error:
        raise refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} must be UTF-8") from error
