"""The facts without which no figure means anything: the machine, the versions, how busy it was."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from dev.dapr.binaries import DAPR_VERSION, find_dapr

PACKAGES = ("dapr", "grpcio", "openai", "pydantic", "redis", "psycopg")


def facts() -> dict[str, str]:
    """Return the machine and the versions, each as text."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {_processor()}, {_memory_gigabytes():.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": packages,
        "daprd": _dapr_version(),
    }


def load() -> str:
    """Return how busy the machine is: the load of the last minute and what uses the CPU now."""
    return f"load {os.getloadavg()[0]:.2f}, CPU {psutil.cpu_percent(interval=0.5):.0f} % busy"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gigabytes() -> float:
    return float(psutil.virtual_memory().total) / 1024**3


def _dapr_version() -> str:
    found = find_dapr()
    if found is None:
        return "none"
    built_here = DAPR_VERSION in str(found.daprd)
    return DAPR_VERSION if built_here else f"found at {found.daprd}"
