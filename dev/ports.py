"""Which TCP ports of 127.0.0.1 this process hands to its parts.

Each process leases a block below the range from which the kernel takes the ports of outgoing
connections: a part that is down for a while finds its port free when it comes back, and two test
workers never hand out the same one.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_PORT = 20_000
BLOCK_PORTS = 400
BLOCKS = 30  # up to 32,000; Linux takes outgoing ports from 32,768 on, macOS from 49,152 on


def free_port() -> int:
    """Return a port that nothing listens on and that was handed out longest ago."""
    ports = _ports()
    for _ in range(BLOCK_PORTS):
        port = next(ports)
        if is_free(port):
            return port
    raise RuntimeError(f"no free port among the {BLOCK_PORTS} of this process")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: connections that ended a moment ago do not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@cache
def _ports() -> Iterator[int]:
    first = FIRST_PORT + BLOCK_PORTS * _leased_block()
    return cycle(range(first, first + BLOCK_PORTS))


def _leased_block() -> int:
    """Lock one block for as long as this process lives; the kernel drops the lock with it."""
    folder = Path(tempfile.gettempdir()) / f"retunable-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for block in range(BLOCKS):
        descriptor = os.open(folder / str(block), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return block
    raise RuntimeError(f"all {BLOCKS} blocks of ports are leased by running processes")
