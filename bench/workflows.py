"""The embedded sidecar's workflows beside daprd's: `python bench/workflows.py`, on an idle machine.

Both keep their state in SQLite. One program on the bare SDK runs the same workflows on each, turn
by turn, so that what else the machine does meets both; and on a sidecar that answers from memory,
which shows what the SDK itself can do at most. Many at once also run on Retunable's own worker, on
which an agent's runs are. `--quick` for few rounds.
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

CHECKOUT = Path(__file__).parents[1]
sys.path.insert(0, str(CHECKOUT))

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
    rounds: dict[str, list[dict[str, float]]] = {"daprd": [], "embedded": [], "memory": []}
    with tempfile.TemporaryDirectory() as folder:
        with (
            _daprd(Path(folder)) as daprd,
            _embedded(Path(folder) / "one") as (embedded, pid),
            _child([sys.executable, "-m", "bench.subjects.canned"]) as (memory, _),
        ):
            sides = {"daprd": daprd, "embedded": embedded, "memory": memory}
            own: dict[str, list[dict[str, float]]] = {"daprd": [], "embedded": []}
            for _ in range(ROUNDS):
                for name, environment in sides.items():
                    rounds[name].append(_measure(name, environment))
                for name, measured in own.items():
                    measured.append(_measure("own", sides[name]))
            print(f"embedded: resident {_resident_megabytes(pid):.1f} MB")
        with (
            _embedded(Path(folder) / "empty") as (empty, _),
            _embedded(Path(folder) / "full") as (full, _),
        ):
            grown = _measure("growth", empty | {"FULL_PORT": full["DAPR_GRPC_PORT"]})
    middle, middle_own = _medians(rounds), _medians(own)
    for measure, theirs in middle["daprd"].items():
        ours = middle["embedded"][measure]
        least = middle["memory"][measure]
        print(
            f"{measure:45} daprd {theirs:8.2f}  embedded {ours:8.2f}  {ours / theirs:5.2f} x"
            f"  from memory {least:8.2f}"
        )
    for measure, theirs in middle_own["daprd"].items():
        ours = middle_own["embedded"][measure]
        print(
            f"{measure:45} daprd {theirs:8.2f}  embedded {ours:8.2f}  {ours / theirs:5.2f} x  own"
        )
    for measure, value in grown.items():
        print(f"{measure:40} embedded {value:9.2f}")


def _medians(rounds: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {measure: statistics.median(one[measure] for one in each) for measure in each[0]}
        for name, each in rounds.items()
    }


@contextmanager
def _daprd(folder: Path) -> Iterator[dict[str, str]]:
    from dev.stack import Stack

    with Stack.redis(folder / "stack", app_id="bench", state="sqlite") as stack:
        yield stack.environment | {"SIDECAR_PID": str(stack.sidecar.process.pid)}


@contextmanager
def _embedded(folder: Path) -> Iterator[tuple[dict[str, str], int]]:
    command = [sys.executable, "-m", "retunable.sidecar", "--app-id=bench", "--grpc-port=0"]
    command += ["--http-port=0", f"--data-dir={folder / 'data'}"]
    began = time.perf_counter()
    with _child(command) as child:
        print(f"embedded: start to ready {time.perf_counter() - began:.2f} s")
        yield child


@contextmanager
def _child(command: list[str]) -> Iterator[tuple[dict[str, str], int]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as sidecar:
        ready = json.loads(next(iter(sidecar.stdout or ())))
        environment = {
            "DAPR_GRPC_PORT": str(ready["grpc_port"]),
            "DAPR_HTTP_PORT": str(ready["http_port"]),
            "SIDECAR_PID": str(sidecar.pid),
        }
        try:
            yield environment, sidecar.pid
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
    if "own" in sys.argv:
        from bench.subjects import own_worker

        async with own_worker.running() as run_turn:
            await run_turn(3)
            return await _many_at_once(run_turn)
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
    return {
        "one activity: workflow, median ms": 1000 * statistics.median(short),
        "one activity: workflow, p90 ms": 1000 * sorted(short)[len(short) * 9 // 10],
        f"{LONG_ACTIVITIES} in sequence: each, ms": 1000
        * statistics.median(long)
        / LONG_ACTIVITIES,
        **await _many_at_once(run),
    }


async def _many_at_once(run: Any) -> dict[str, float]:
    rates = []
    before = _cpu_milliseconds()
    for _ in range(AT_ONCE_ROUNDS):
        began = time.perf_counter()
        await asyncio.gather(*(run(ACTIVITIES_AT_ONCE) for _ in range(AT_ONCE)))
        rates.append(AT_ONCE * ACTIVITIES_AT_ONCE / (time.perf_counter() - began))
    activities = AT_ONCE * ACTIVITIES_AT_ONCE * AT_ONCE_ROUNDS
    sidecar, sdk = (
        (now - then) / activities for now, then in zip(_cpu_milliseconds(), before, strict=True)
    )
    return {
        f"{AT_ONCE} workflows x {ACTIVITIES_AT_ONCE}: activities/s": statistics.median(rates),
        "the same: CPU of the sidecar, ms an activity": sidecar,
        "the same: CPU of the program, ms an activity": sdk,
    }


def _cpu_milliseconds() -> tuple[float, float]:
    """Return what the sidecar and this program have used."""
    import psutil

    used = []
    for process in (psutil.Process(int(os.environ["SIDECAR_PID"])), psutil.Process()):
        times = process.cpu_times()
        used.append(1000 * (times.user + times.system))
    return used[0], used[1]


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
