"""Where a face listens, as a person writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from retunable.errors import ConfigurationError
from retunable.serve.local_names import is_local_name

LOCAL: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 takes any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, *, default_port: int | None = None) -> Address:
        """Read ``host:port``, ``[ipv6]:port``, a port alone, or a host alone where a port is known.

        A port alone is on this machine only.

        Raises:
            ConfigurationError: the text is no address.
        """
        host, colon, port = text.rpartition(":")
        if text.isdecimal():
            host = LOCAL
        elif default_port is not None and (not colon or text.endswith("]")):
            host, port = text, str(default_port)
        if not (port.isdecimal() and int(port) < 65_536) or not host:
            example = f"{LOCAL}:{default_port or 50051}"
            raise ConfigurationError(f"{text!r} is no address; write one like {example!r}")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine reach it."""
        return is_local_name(self.host)

    @property
    def target(self) -> str:
        """The address as gRPC writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as an HTTP client of this machine writes it."""
        host = {"0.0.0.0": LOCAL, "::": "::1"}.get(self.host, self.host)  # noqa: S104 - read, not bound
        return f"http://{Address(host, self.port).target}"
