"""Stands before every call of the gRPC face: lets in who knows the token, gives each error its code."""

from __future__ import annotations

import concurrent.futures
import hmac
import logging
from collections.abc import Callable
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any, Final, TypeVar

import grpc
from pydantic import ValidationError

from retunable.errors import ConfigurationError, RetunableError
from retunable.serve.caller import BadCaller
from retunable.serve.listening import LOCAL, Address
from retunable.serve.problem import Problem, problem, problem_of

TOKEN_VARIABLE: Final = "APP_API_TOKEN"  # noqa: S105 - its name, not its value
TOKEN_NAME: Final = "dapr-api-token"  # noqa: S105 - the same
# daprd sends its token with neither (1.18); they tell nothing but health and topic names.
OPEN_METHODS: Final = frozenset({"HealthCheck", "ListTopicSubscriptions", "ListInputBindings"})
CODES: Final = {
    HTTPStatus.UNPROCESSABLE_ENTITY: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.GONE: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.CONFLICT: grpc.StatusCode.ABORTED,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
}

log = logging.getLogger("retunable")

_T = TypeVar("_T")
_call: ContextVar[grpc.ServicerContext] = ContextVar("_call")


class TooManyWaiting(Exception):
    """Every thread that may wait for a run waits for one."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} callers wait for runs already; send wait false, or try again")


def check_exposure(address: Address, token: str | None) -> None:
    """Raise ConfigurationError where others could reach a server that asks for no token."""
    if token is None and not address.is_local:
        raise ConfigurationError(
            f"serving gRPC on {address.host} lets other machines run the agent: give daprd and "
            f"the agent the same {TOKEN_VARIABLE}, or serve on {LOCAL}"
        )


def current_call() -> grpc.ServicerContext:
    """Return the call that this thread answers."""
    return _call.get()


class Guard(grpc.ServerInterceptor):
    """Lets in who knows the token, and gives each error its code."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler
        method = details.method.rpartition("/")[2]
        known = method in OPEN_METHODS or self._knows(dict(details.invocation_metadata))
        answer = _answered(handler.unary_unary) if known else _refuse
        return grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )

    def _knows(self, metadata: dict[str, Any]) -> bool:
        if self._token is None:
            return True
        return hmac.compare_digest(str(metadata.get(TOKEN_NAME, "")).encode(), self._token)


def _refuse(_request: Any, context: grpc.ServicerContext) -> None:
    context.abort(
        grpc.StatusCode.UNAUTHENTICATED, f"send {TOKEN_NAME} with the agent's {TOKEN_VARIABLE}"
    )


def _answered(handler: Callable[[Any, grpc.ServicerContext], _T]) -> Callable[..., _T]:
    def answer(request: Any, context: grpc.ServicerContext) -> _T:
        _call.set(context)
        try:
            return handler(request, context)
        except concurrent.futures.CancelledError:
            code, detail = grpc.StatusCode.CANCELLED, "the caller went away, or the agent ends"
        except NotImplementedError as unknown:
            code, detail = grpc.StatusCode.UNIMPLEMENTED, str(unknown)
        # A seam: gRPC itself would send the error's text, which may hold anything.
        except Exception as error:  # noqa: BLE001 - logged in _problem_of where nobody foresaw it
            told = _problem_of(error)
            code = CODES.get(HTTPStatus(told.status), grpc.StatusCode.INTERNAL)
            detail = told.detail or told.title
        context.abort(code, detail)
        raise AssertionError("abort raises")

    return answer


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, TooManyWaiting):
        return problem(HTTPStatus.TOO_MANY_REQUESTS, str(error))
    if not isinstance(error, (RetunableError, ValidationError, BadCaller)):
        log.error("a call over gRPC failed", exc_info=error)
    return problem_of(error)
