"""The API token: where one is set, no call without it is answered."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio

HEADER: Final = "dapr-api-token"


class TokenCheck(grpc.aio.ServerInterceptor):
    """Refuses calls whose metadata does not hold the token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Go on with the call, or with one of its kind that refuses."""
        handler = await continuation(handler_call_details)
        given: Any = handler_call_details.invocation_metadata or ()
        said = next((value for name, value in given if name == HEADER), "")
        if handler is None or hmac.compare_digest(str(said).encode(), self._token):
            return handler
        return _refusing(handler)


def _refusing(handler: Any) -> Any:
    async def refused(_request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(
            grpc.StatusCode.UNAUTHENTICATED,
            "authentication error: api token mismatch; set DAPR_API_TOKEN as the sidecar has it",
        )

    makers: dict[tuple[bool, bool], Any] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    return makers[handler.request_streaming, handler.response_streaming](
        refused,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
