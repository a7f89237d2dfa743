"""The embedded sidecar's workflows beside daprd's: `python bench/workflows.py`, on an idle machine.

Both keep their state in SQLite. One program on the bare SDK runs the same workflows on each, turn
by turn, so that what else the machine does meets both. `--quick` for few rounds.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

QUICK = "--quick" in sys.argv
ROUNDS = 1 if QUICK else 3
SHORT_RUNS = 40 if QUICK else 150
LONG_RUNS = 2 if QUICK else 5
LONG_ACTIVITIES = 50
AT_ONCE = 50
ACTIVITIES_AT_ONCE = 5
AT_ONCE_ROUNDS = 3 if QUICK else 8
FINISHED = 1_000 if QUICK else 10_000


def main() -> None:
    if "subject" in sys.argv:
        print(json.dumps(asyncio.run(_subject())), flush=True)
        return
    rounds: dict[str, list[dict[str, float]]] = {"daprd": [], "embedded": []}
    with tempfile.TemporaryDirectory() as folder:
        with _daprd(Path(folder)) as daprd, _embedded(Path(folder) / "one") as (embedded, pid):
            for _ in range(ROUNDS):
                rounds["daprd"].append(_measure("daprd", daprd))
                rounds["embedded"].append(_measure("embedded", embedded))
            print(f"embedded: resident {_resident_megabytes(pid):.1f} MB")
        with (
            _embedded(Path(folder) / "empty") as (empty, _),
            _embedded(Path(folder) / "full") as (full, _),
        ):
            grown = _measure("growth", empty | {"FULL_PORT": full["DAPR_GRPC_PORT"]})
    middle = {
        name: {measure: statistics.median(one[measure] for one in each) for measure in each[0]}
        for name, each in rounds.items()
    }
    for measure, theirs in middle["daprd"].items():
        ours = middle["embedded"][measure]
        print(f"{measure:40} daprd {theirs:9.2f}  embedded {ours:9.2f}  {ours / theirs:5.2f} x")
    for measure, value in grown.items():
        print(f"{measure:40} embedded {value:9.2f}")


@contextmanager
def _daprd(folder: Path) -> Iterator[dict[str, str]]:
    from dev.stack import Stack

    with Stack.redis(folder / "stack", app_id="bench", state="sqlite") as stack:
        yield stack.environment


@contextmanager
def _embedded(folder: Path) -> Iterator[tuple[dict[str, str], int]]:
    command = [sys.executable, "-m", "retunable.sidecar", "--app-id=bench", "--grpc-port=0"]
    command += ["--http-port=0", f"--data-dir={folder / 'data'}"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sidecar:
        ready = json.loads(next(iter(sidecar.stdout or ())))
        print(f"embedded: start to ready {time.perf_counter() - began:.2f} s")
        ports = {"DAPR_GRPC_PORT": ready["grpc_port"], "DAPR_HTTP_PORT": ready["http_port"]}
        try:
            yield {name: str(port) for name, port in ports.items()}, sidecar.pid
        finally:
            sidecar.terminate()


def _measure(what: str, environment: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, __file__, "subject", what, *(["--quick"] if QUICK else [])]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=900
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _resident_megabytes(pid: int) -> float:
    import psutil

    return psutil.Process(pid).memory_info().rss / 1e6


async def _subject() -> dict[str, float]:
    with _running(os.environ["DAPR_GRPC_PORT"]) as run:
        await run(3)
        if "growth" not in sys.argv:
            return await _speed(run)
        with _running(os.environ["FULL_PORT"]) as run_on_full:
            return await _growth(run, run_on_full)


@contextmanager
def _running(port: str) -> Iterator[Any]:
    """Give a function that runs a workflow of so many activities and returns its seconds."""
    import grpc
    from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext, WorkflowRuntime
    from dapr.ext.workflow.aio import DaprWorkflowClient

    runtime = WorkflowRuntime(host="127.0.0.1", port=port)

    @runtime.workflow(name="sequence")
    def sequence(ctx: DaprWorkflowContext, activities: int) -> Any:
        for number in range(activities):
            yield ctx.call_activity(work, input=number)
        return "done"

    @runtime.activity(name="work")
    async def work(ctx: WorkflowActivityContext, number: int) -> int:
        del ctx
        return number

    runtime.start()
    client = DaprWorkflowClient(host="127.0.0.1", port=port)

    async def started(activities: int) -> str:
        while True:
            try:
                return await client.schedule_new_workflow(sequence, input=activities)
            except grpc.RpcError as error:
                # daprd gives up at once where its own SQLite is locked by another of its calls.
                if "SQLITE_BUSY" not in str(error):
                    raise

    async def run(activities: int) -> float:
        began = time.perf_counter()
        instance = await started(activities)
        await client.wait_for_workflow_completion(instance)
        return time.perf_counter() - began

    try:
        yield run
    finally:
        runtime.shutdown()


async def _speed(run: Any) -> dict[str, float]:
    short = [await run(1) for _ in range(SHORT_RUNS)]
    long = [await run(LONG_ACTIVITIES) for _ in range(LONG_RUNS)]
    rates = []
    for _ in range(AT_ONCE_ROUNDS):
        began = time.perf_counter()
        await asyncio.gather(*(run(ACTIVITIES_AT_ONCE) for _ in range(AT_ONCE)))
        rates.append(AT_ONCE * ACTIVITIES_AT_ONCE / (time.perf_counter() - began))
    return {
        "one activity: workflow, median ms": 1000 * statistics.median(short),
        "one activity: workflow, p90 ms": 1000 * sorted(short)[len(short) * 9 // 10],
        f"{LONG_ACTIVITIES} in sequence: each, ms": 1000
        * statistics.median(long)
        / LONG_ACTIVITIES,
        f"{AT_ONCE} workflows x {ACTIVITIES_AT_ONCE}: activities/s": statistics.median(rates),
    }


async def _growth(run: Any, run_on_full: Any) -> dict[str, float]:
    """Compare, run by run, an empty sidecar with one in which many have finished."""
    for _ in range(FINISHED // AT_ONCE):
        await asyncio.gather(*(run_on_full(1) for _ in range(AT_ONCE)))
    empty, full = [], []
    for _ in range(2 * SHORT_RUNS):
        empty.append(await run(1))
        full.append(await run_on_full(1))
    return {
        "one activity on an empty store, ms": 1000 * statistics.median(empty),
        f"beside {FINISHED} finished, ms": 1000 * statistics.median(full),
        "full / empty": statistics.median(full) / statistics.median(empty),
    }


if __name__ == "__main__":
    main()
