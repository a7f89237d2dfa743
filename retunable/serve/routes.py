"""The HTTP endpoints of one agent, as a router that any FastAPI app can include.

Who may ask at all is decided by ``gate`` for the served app, and by the user's own app where the
router is included there.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from retunable.serve.models import Check, ConfigReport, Health, Readiness
from retunable.serve.problem_route import ProblemRoute
from retunable.serve.problems import documented
from retunable.serve.run_routes import add_runs
from retunable.serve.served import ServedAgent

SERVING: Final = frozenset({"READY", "STALE"})
_BODY_PROBLEMS: Final = documented(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


def router(agent: ServedAgent) -> APIRouter:
    """Return the endpoints of an agent that was started, or will be, by its owner."""
    routes = APIRouter(route_class=ProblemRoute)
    add_runs(routes, agent)
    _add_config(routes, agent)
    _add_health(routes, agent)
    return routes


def _add_config(routes: APIRouter, agent: ServedAgent) -> None:
    @routes.get("/agent/config", tags=["agent"], summary="What the agent runs on, and from where")
    async def config() -> ConfigReport:
        return ConfigReport.of(agent)

    @routes.post(
        "/agent/config/check",
        tags=["agent"],
        summary="Whether the program could run on a config",
        responses=_BODY_PROBLEMS,
    )
    async def check_config(config: dict[str, Any]) -> Check:
        return Check.of_config(config, agent.declaration.constraints)

    @routes.post(
        "/agent/document/check",
        tags=["agent"],
        summary="Whether the program would take a document of the configuration store",
        responses=_BODY_PROBLEMS,
    )
    async def check_document(document: dict[str, Any]) -> Check:
        return Check.of_document(document, agent.declaration)


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
