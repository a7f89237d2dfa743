"""Every error of the HTTP face as application/problem+json (RFC 9457).

Maps the package's error tree to statuses. Errors that nobody foresaw stay 500 without their
text, which may hold anything.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import HTTPException as FastAPIHTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from retunable.errors import RetunableError, RunFailed, RunTimeout, Unavailable

FORESEEN = (HTTPException, RequestValidationError, RetunableError)
"""The exceptions that ``problem_of`` can tell about."""


class Problem(BaseModel):
    """An RFC 9457 problem; members beside its first four are set where they are known."""

    model_config = ConfigDict(extra="forbid")

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    part: str | None = None
    reason: str | None = None
    run_id: str | None = None
    errors: list[dict[str, str]] | None = None


class ProblemResponse(JSONResponse):
    """A problem as a response."""

    media_type = "application/problem+json"

    def __init__(self, problem: Problem, headers: dict[str, str] | None = None) -> None:
        content = problem.model_dump(exclude_none=True)
        super().__init__(content, status_code=problem.status, headers=headers)


def response_to(error: Exception) -> ProblemResponse:
    """Return the response to an exception; anything not in ``FORESEEN`` is a bare 500."""
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else None
    return ProblemResponse(problem_of(error), headers)


def problem_of(error: Exception) -> Problem:
    """Tell what went wrong, with the words that a caller can act on."""
    match error:
        case RunTimeout():
            return _problem(HTTPStatus.GATEWAY_TIMEOUT, str(error), run_id=error.run_id)
        case RunFailed():
            return _problem(
                HTTPStatus.BAD_GATEWAY, str(error), run_id=error.run_id, reason=error.reason
            )
        case Unavailable():
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), part=error.part)
        case RequestValidationError():
            faults = [_fault(fault) for fault in error.errors()]
            detail = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)
            return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=faults)
        case HTTPException():
            return _problem(HTTPStatus(error.status_code), str(error.detail))
        case RetunableError():
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        case _:
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the log of the agent says more")


def refused(status: HTTPStatus, detail: str) -> HTTPException:
    """Return the exception that ends a request with a status and a reason."""
    return FastAPIHTTPException(status, detail)


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of a route, for /openapi.json."""
    # A schema without references: FastAPI lists a model under the media type of the success.
    content = {ProblemResponse.media_type: {"schema": Problem.model_json_schema()}}
    return {status.value: {"description": status.phrase, "content": content} for status in statuses}


def _problem(status: HTTPStatus, detail: str, **members: Any) -> Problem:
    return Problem(title=status.phrase, status=status, detail=detail, **members)


def _fault(error: Any) -> dict[str, str]:
    """Say where and what, never the value: a message may hold anything."""
    return {"where": ".".join(str(part) for part in error["loc"]), "what": error["msg"]}
