"""The gRPC server: on this machine alone, with the options that the SDK's clients need."""

from __future__ import annotations

from typing import Final, TypeAlias

import grpc.aio

from retunable.errors import ConfigurationError
from retunable.sidecar.api.token import TokenCheck

GrpcServer: TypeAlias = grpc.aio.Server

HOST: Final = "127.0.0.1"

# A workflow's history comes in one message: a refused one would fail the step for good. What an
# app sends to the other APIs is held to daprd's 4 MiB there.
_MESSAGE_BYTES: Final = 128 * 1024 * 1024

_WAITING_CALLS: Final = 1_000_000

_OPTIONS: Final = (
    # Otherwise a second server binds the same port in silence and takes half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    # With the defaults an idle client that pings is sent away after 90 s (too_many_pings).
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
    # By default gRPC drops calls (CANCELLED) when more than 1,000 wait: measured with 2,000 at
    # once. A worker's result that is dropped is lost for good.
    ("grpc.server.max_pending_requests", _WAITING_CALLS),
    ("grpc.server.max_pending_requests_hard_limit", _WAITING_CALLS),
)


def make_grpc_server(*, api_token: str | None) -> GrpcServer:
    """Return a server without services."""
    interceptors = [TokenCheck(api_token)] if api_token else []
    return grpc.aio.server(interceptors=interceptors, options=_OPTIONS)


def bind(server: GrpcServer, port: int) -> int:
    """Listen on a port of 127.0.0.1, any free one for 0; returns which.

    Raises:
        ConfigurationError: something else listens on it.
    """
    try:
        return server.add_insecure_port(f"{HOST}:{port}")
    except RuntimeError as error:
        raise ConfigurationError(
            f"gRPC port {port} of {HOST} is taken; name another with --grpc-port, or 0 for any"
        ) from error
