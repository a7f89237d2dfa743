"""Every error of the HTTP face as application/problem+json, and how /openapi.json tells of it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import HTTPException as FastAPIHTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from retunable.errors import RetunableError
from retunable.serve.caller import BadCaller
from retunable.serve.problem import Problem, problem, problem_of, problem_of_faults

FORESEEN = (HTTPException, RequestValidationError, RetunableError, BadCaller)
"""The exceptions that have a response of their own."""


class ProblemResponse(JSONResponse):
    """A problem as a response."""

    media_type = "application/problem+json"

    def __init__(self, content: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(content.to_json(), status_code=content.status, headers=headers)


def response_to(error: Exception) -> ProblemResponse:
    """Return the response to an exception; anything not in ``FORESEEN`` is a bare 500."""
    match error:
        case RequestValidationError():
            return ProblemResponse(problem_of_faults(error.errors()))
        case HTTPException():
            told = problem(HTTPStatus(error.status_code), _detail(error))
            return ProblemResponse(told, dict(error.headers or {}))
        case _:
            return ProblemResponse(problem_of(error))


def _detail(error: HTTPException) -> str:
    """Return why; a path that leads nowhere has no more than its status to say."""
    if error.detail == HTTPStatus.NOT_FOUND.phrase:
        return "nothing is here; /openapi.json lists what is"
    return str(error.detail)


def refused(status: HTTPStatus, detail: str) -> HTTPException:
    """Return the exception that ends a request with a status and a reason."""
    return FastAPIHTTPException(status, detail)


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of a route, for /openapi.json."""
    # A schema without references: FastAPI lists a model under the media type of the success.
    content = {ProblemResponse.media_type: {"schema": Problem.model_json_schema()}}
    return {status.value: {"description": status.phrase, "content": content} for status in statuses}
