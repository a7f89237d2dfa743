"""The embedded sidecar alone: how soon a write is applied, and what it costs while nothing happens.

Just over a minute. The floor is a bare subscription in the same process, as in `propagation`. Both begin
with a write that waits for the disk, so what the disk takes by itself is told too.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import psutil

from bench import propagation
from bench.rig import Subject, environment
from bench.series import Outcome
from dev.embedded import EmbeddedStack

if TYPE_CHECKING:
    from pathlib import Path

WRITES: Final = 150
QUICK_WRITES: Final = 20
IDLE_SECONDS: Final = 20.0
QUICK_IDLE_SECONDS: Final = 3.0
SYNCS: Final = 150
QUICK_SYNCS: Final = 20
REST_SECONDS: Final = 0.03
APPENDED_BYTES: Final = 12 * 1024
MOST_IDLE_PERCENT: Final = 2.0


def measure(directory: Path, *, quick: bool) -> Outcome:
    """Write some hundred times beside an agent, then leave sidecar and agent alone."""
    with EmbeddedStack(directory / "propagation") as stack:
        measured = propagation.measure_on(
            stack,
            writes=QUICK_WRITES if quick else WRITES,
            most_p50=propagation.MOST_EMBEDDED_P50_MILLISECONDS,
        )
    disk = _disk(directory / "disk", syncs=QUICK_SYNCS if quick else SYNCS)
    with EmbeddedStack(directory / "idle") as stack:
        idle = _idle(stack, seconds=QUICK_IDLE_SECONDS if quick else IDLE_SECONDS)
    return Outcome(comparisons=measured.comparisons, remarks=(*measured.remarks, disk, idle))


def _disk(file: Path, *, syncs: int) -> str:
    """Tell how long the disk takes to keep what a small commit appends to SQLite's log."""
    seconds: list[float] = []
    with file.open("wb", buffering=0) as log:
        for _ in range(syncs):
            time.sleep(REST_SECONDS)
            began = time.perf_counter()
            log.write(bytes(APPENDED_BYTES))
            os.fdatasync(log.fileno())
            seconds.append(time.perf_counter() - began)
    taken = propagation.milliseconds(seconds)
    return f"the disk alone: {APPENDED_BYTES // 1024} KB and a sync, {taken.p50:.2f} / {taken.p99:.2f} ms"


def _idle(stack: EmbeddedStack, *, seconds: float) -> str:
    """Tell what the sidecar uses beside an agent that is subscribed and asked nothing."""
    subject = Subject(
        "bench.subjects.offline", stack.directory / "subject", environment(stack.environment)
    )
    with subject:
        subject.told()
        time.sleep(1.0)  # over what an agent does once after its start
        sidecar = psutil.Process(stack.sidecar.process.pid)
        before = _cpu_seconds(sidecar)
        time.sleep(seconds)
        percent = 100 * (_cpu_seconds(sidecar) - before) / seconds
        resident = sidecar.memory_info().rss / 1e6
    verdict = "met" if percent <= MOST_IDLE_PERCENT else "MISSED"
    return (
        f"embedded: {percent:.1f} % of a core in {seconds:g} s with an agent and nothing to do, "
        f"goal ≤ {MOST_IDLE_PERCENT:g} %: {verdict}; resident {resident:.1f} MB"
    )


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
