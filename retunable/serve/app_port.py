"""Where the callback server listens: what the program says, else what ``dapr run`` says."""

from __future__ import annotations

import os
from collections.abc import Mapping

from retunable.errors import ConfigurationError
from retunable.serve.listening import Address


def app_address(told: str | None, env: Mapping[str, str] | None = None) -> Address | None:
    """Return where to listen; None where nobody asked for a callback server.

    Raises:
        ConfigurationError: what was asked for cannot be served.
    """
    env = os.environ if env is None else env
    if told is not None:
        return Address.parse(told)
    port, protocol = env.get("APP_PORT"), env.get("APP_PROTOCOL", "").lower()
    if protocol in ("grpcs", "h2c", "https") and port:
        raise ConfigurationError(
            f"the agent does not serve --app-protocol {protocol}; start dapr with grpc"
        )
    if not port or protocol != "grpc":
        return None
    return Address.parse(port)
