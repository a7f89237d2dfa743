"""What this process is called wherever it is named: in step records and in events."""

from __future__ import annotations

import os
import socket


def replica_name() -> str:
    """Return host (or pod) and process id."""
    return f"{os.environ.get('HOSTNAME') or socket.gethostname()}:{os.getpid()}"
