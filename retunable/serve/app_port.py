"""Where the callback server listens: what the program says, else what ``dapr run`` says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from retunable.errors import ConfigurationError
from retunable.serve.local_names import is_local_name

LOCAL: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class AppAddress:
    """A host and a port; port 0 takes any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``host:port``, ``[ipv6]:port`` or a port alone, which is on this machine only.

        Raises:
            ConfigurationError: the text is no address.
        """
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]") or LOCAL
        if not (port.isdecimal() and int(port) < 65_536) or text.startswith(":"):
            raise ConfigurationError(f"{text!r} is no address; write one like '{LOCAL}:50051'")
        return cls(host, int(port))

    @property
    def target(self) -> str:
        """The address as gRPC writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def check_exposure(self, *, has_token: bool, variable: str) -> None:
        """Raise ConfigurationError where others could reach a server that asks for no token."""
        if not has_token and not is_local_name(self.host):
            raise ConfigurationError(
                f"serving gRPC on {self.host} lets other machines run the agent: give daprd and "
                f"the agent the same {variable}, or serve on {LOCAL}"
            )


def app_address(told: str | None, env: Mapping[str, str] | None = None) -> AppAddress | None:
    """Return where to listen; None where nobody asked for a callback server.

    Raises:
        ConfigurationError: what was asked for cannot be served.
    """
    env = os.environ if env is None else env
    if told is not None:
        return AppAddress.parse(told)
    port, protocol = env.get("APP_PORT"), env.get("APP_PROTOCOL", "").lower()
    if protocol in ("grpcs", "h2c", "https") and port:
        raise ConfigurationError(
            f"the agent does not serve --app-protocol {protocol}; start dapr with grpc"
        )
    if not port or protocol != "grpc":
        return None
    return AppAddress.parse(port)
