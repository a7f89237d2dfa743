"""A route whose body is bounded and whose foreseen errors are problems, in any app."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

from retunable.serve.problems import FORESEEN, refused, response_to

MAX_BODY_BYTES: Final = 1_048_576


class ProblemRoute(APIRoute):
    """Checks what arrives before the endpoint sees it, and tells what its endpoint raised."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                _check_content(request)
                return await handler(Request(request.scope, _bounded(request.receive)))
            except FORESEEN as error:
                return response_to(error)

        return answer


def _check_content(request: Request) -> None:
    """Refuse a body that is not JSON: a web page may send other types without being asked.

    A request without a body needs no type, unless it comes from a web page: browsers say so.
    """
    if request.method != "POST" or (_is_empty(request) and "origin" not in request.headers):
        return
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()


def _is_empty(request: Request) -> bool:
    headers = request.headers
    return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers


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
