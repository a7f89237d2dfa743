"""A subject's side of the pipes: facts go out as JSON lines, orders come in as lines.

Imported by every subject, so it imports next to nothing.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

# One clock for all processes of a machine, on Linux and macOS.
now = time.monotonic


def tell(**facts: Any) -> None:
    """Send facts to whoever measures."""
    print(json.dumps(facts), flush=True)


def next_order() -> str:
    """Wait for an order; empty at the end."""
    return sys.stdin.readline().strip()


def resident_bytes() -> int:
    """Return the resident memory of this process; where there is no /proc, the peak so far."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
