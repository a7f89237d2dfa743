"""The durable loop beside the bare SDK: `python bench/loop.py`, by hand on an idle machine.

The floor is a workflow of the SDK's own with one activity per model or tool call and nothing
stored. Both sides answer at once and run on one Redis, each behind a sidecar of its own. For the
long run alone, on a machine that is not idle, see ``long_runs``.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

QUICK = "--quick" in sys.argv
ROUNDS = 1 if QUICK else 3
ONE_CALL_RUNS = 40 if QUICK else 150
LONG_RUNS = 2 if QUICK else 5
LONG_STEPS = 31
GROWTH_STEPS = 205
CONCURRENT = 20
CONCURRENT_ROUNDS = 3 if QUICK else 8
WRITTEN_LATE_SECONDS = 1.5


def main() -> None:
    if "floor" in sys.argv or "ours" in sys.argv:
        side = _floor if "floor" in sys.argv else _ours
        print(json.dumps(asyncio.run(side())), flush=True)
        return
    from dev.dapr import Sidecar
    from dev.stack import Stack

    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        with Stack.redis(directory / "stack", app_id="ours") as stack:
            floor_sidecar = Sidecar(
                directory / "floor-daprd",
                app_id="floor",
                resources_path=stack.resources,
                control_plane=stack.control_plane,
            )
            with floor_sidecar:
                environments = {"floor": floor_sidecar.environment, "ours": stack.environment}
                rounds: dict[str, list[dict[str, float]]] = {"floor": [], "ours": []}
                for _ in range(ROUNDS):
                    for name, environment in environments.items():
                        redis = {"BENCH_REDIS": stack.store.url}
                        rounds[name].append(_subject(name, environment | redis))
    results = {
        name: {measure: statistics.median(one[measure] for one in each) for measure in each[0]}
        for name, each in rounds.items()
    }
    for measure in results["floor"]:
        one, two = results["floor"][measure], results["ours"][measure]
        print(f"{measure:32} floor {one:10.2f}  ours {two:10.2f}  ratio {two / one:5.2f}")
    print({k: round(v, 2) for k, v in results["ours"].items() if k not in results["floor"]})


def _subject(name: str, environment: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, __file__, name, *(["--quick"] if QUICK else [])]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=240
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _bytes_sent() -> int:
    import redis

    with redis.Redis.from_url(os.environ["BENCH_REDIS"]) as client:
        return int(client.info("stats")["total_net_input_bytes"])


async def _measured(run: Any) -> dict[str, float]:
    for _ in range(5):
        await run(1)
    one = [await _timed(run, 1) for _ in range(ONE_CALL_RUNS)]
    await run(LONG_STEPS)
    slow = [await _timed(run, LONG_STEPS) for _ in range(LONG_RUNS)]
    rates = []
    for _ in range(CONCURRENT_ROUNDS):
        began = time.perf_counter()
        await asyncio.gather(*(run(1) for _ in range(CONCURRENT)))
        rates.append(CONCURRENT / (time.perf_counter() - began))
    alone = await _bytes_of(run, LONG_STEPS)
    long, short = [await _bytes_of(run, steps, "talk") for steps in (LONG_STEPS, 6)]
    return {
        "30 tools, KB to Redis": alone / 1000,
        "30 tools in a talk, KB to Redis": long / 1000,
        "30 tools beside 5, bytes": long / short,
        "one call, median ms": 1000 * statistics.median(one),
        "one call, p90 ms": 1000 * sorted(one)[len(one) * 9 // 10],
        "31 + 30 calls, median ms": 1000 * statistics.median(slow),
        "20 at once, runs/s": statistics.median(rates),
    }


async def _bytes_of(run: Any, steps: int, conversation: str | None = None) -> int:
    """Return what a run sends to Redis, and what is written a moment after it."""
    await asyncio.sleep(WRITTEN_LATE_SECONDS)
    sent = _bytes_sent()
    await run(steps, conversation)
    await asyncio.sleep(WRITTEN_LATE_SECONDS)
    return _bytes_sent() - sent


async def _timed(run: Any, steps: int) -> float:
    began = time.perf_counter()
    await run(steps)
    return time.perf_counter() - began


async def _floor() -> dict[str, float]:
    from bench.loop_subjects import floor

    async with floor() as run:
        return await _measured(run)


async def _ours() -> dict[str, float]:
    from bench.loop_subjects import ours, run_of

    async with ours() as agent:
        result = await _measured(run_of(agent))
        long = await agent.run(str(GROWTH_STEPS))
        at = [_seconds(step.started_at) for step in long.steps]
        result["step 10, ms"] = 1000 * statistics.median(_costs(at, 5, 15))
        result["step 200, ms"] = 1000 * statistics.median(_costs(at, 190, 204))
        result["step 200 / step 10"] = result["step 200, ms"] / result["step 10, ms"]
    return result


def _costs(at: list[float], first: int, last: int) -> list[float]:
    return [after - before for before, after in zip(at[first:last], at[first + 1 :], strict=False)]


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    main()
