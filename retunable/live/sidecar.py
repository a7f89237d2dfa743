"""Where the sidecar is, and the channel to it: read from the environment as Dapr's SDK does.

The channel's settings are what makes a restarted or hung daprd noticeable; calls, deadlines
and retries belong to whoever uses the channel.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import grpc.aio
from dapr.conf.helpers import GrpcEndpoint

from retunable.errors import ConfigurationError

_MAX_RECEIVE_BYTES: Final = 64 * 1024 * 1024

# Measured on Dapr 1.18: with gRPC's defaults a restarted daprd is reached 1 s late, and a
# stopped one is noticed after 70 s; with these after 0.0-0.75 s and 14.7 s. Pings every 5 s
# would earn a GOAWAY; daprd puts up with 8 s and more. A pause between two tries of 0.7 s and the
# fifth that gRPC adds at random ends within the second for which a run waits for its sidecar.
CHANNEL_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 700),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", _MAX_RECEIVE_BYTES),
)


@dataclass(frozen=True, slots=True)
class SidecarEndpoint:
    """A gRPC target (``dns:127.0.0.1:50001``), whether it speaks TLS, and the API token."""

    target: str
    tls: bool = False
    api_token: str | None = None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata that every call carries."""
        return (("dapr-api-token", self.api_token),) if self.api_token else ()

    @property
    def token_refused(self) -> str:
        """Say that the sidecar is there and takes no call of this program."""
        wrong = "is not the one that it asks for" if self.api_token else "is not set"
        return (
            f"the sidecar at {self.target} refuses this program: DAPR_API_TOKEN {wrong}; "
            "give the program the token that its sidecar was started with"
        )

    def __repr__(self) -> str:
        """Show everything but the token."""
        token = "set" if self.api_token else "none"
        return f"SidecarEndpoint(target={self.target!r}, tls={self.tls}, api_token={token})"


def endpoint_from_environment(env: Mapping[str, str] | None = None) -> SidecarEndpoint:
    """Return where the sidecar is: DAPR_GRPC_ENDPOINT, else DAPR_RUNTIME_HOST and DAPR_GRPC_PORT.

    Raises:
        ConfigurationError: DAPR_GRPC_ENDPOINT is not an address that Dapr's SDK understands.
    """
    env = os.environ if env is None else env
    url = env.get("DAPR_GRPC_ENDPOINT") or (
        f"{env.get('DAPR_RUNTIME_HOST') or '127.0.0.1'}:{env.get('DAPR_GRPC_PORT') or '50001'}"
    )
    try:
        parsed = GrpcEndpoint(url)
    except ValueError as error:
        raise ConfigurationError(
            f"DAPR_GRPC_ENDPOINT={url!r} is not a gRPC address ({error}); "
            "write it like dns:daprd.internal:50001 or dns:daprd.internal:443?tls=true"
        ) from error
    return SidecarEndpoint(parsed.endpoint, parsed.tls, env.get("DAPR_API_TOKEN") or None)


def channel(endpoint: SidecarEndpoint) -> grpc.aio.Channel:
    """Open a channel of our own to the sidecar; it belongs to the running event loop."""
    if endpoint.tls:
        credentials = grpc.ssl_channel_credentials()
        return grpc.aio.secure_channel(endpoint.target, credentials, options=CHANNEL_OPTIONS)
    return grpc.aio.insecure_channel(endpoint.target, options=CHANNEL_OPTIONS)
