"""One long run after the other, subject by subject: `python bench/long_runs.py [ROUNDS]`.

Processes that stay, each behind a sidecar of its own, take turns run by run, so that whatever else
the machine does meets all of them alike. Beside the time of a run stands the CPU that it took the
subject's process and its sidecar. Half a minute for 15 rounds.
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
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import IO, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

STEPS = 31
SUBJECTS = ("floor", "keeping", "ours")
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def main() -> None:
    if sys.argv[1] in SUBJECTS:
        asyncio.run(_serve(sys.argv[1]))
        return
    from dev.dapr import Sidecar
    from dev.stack import Stack

    rounds = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder, ExitStack() as parts:
        directory = Path(folder)
        stack = parts.enter_context(Stack.redis(directory / "stack", app_id="ours"))
        sidecars = {"ours": stack.sidecar}
        for name in SUBJECTS[:-1]:
            sidecars[name] = parts.enter_context(
                Sidecar(
                    directory / f"{name}-daprd",
                    app_id=name,
                    resources_path=stack.resources,
                    control_plane=stack.control_plane,
                )
            )
        subjects = {
            name: parts.enter_context(_process(name, sidecars[name].environment))
            for name in SUBJECTS
        }
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in SUBJECTS}
        for _ in range(rounds):
            for name, subject in subjects.items():
                taken[name].append(_one_run(subject, sidecars[name].process.pid))
        for subject in subjects.values():
            _pipe(subject.stdin).close()
            subject.wait(30)
    _show(taken)


def _show(taken: dict[str, list[dict[str, float]]]) -> None:
    floor = [run["wall"] for run in taken["floor"]]
    for name, runs in taken.items():
        wall = [run["wall"] for run in runs]
        ratios = [one / other for one, other in zip(wall, floor, strict=True)]
        print(
            f"{name:8} median {statistics.median(wall):6.0f} ms, quickest {min(wall):6.0f} ms, "
            f"{statistics.median(wall) / statistics.median(floor):.2f} x the floor "
            f"(turn by turn {statistics.median(ratios):.2f} x); CPU "
            f"{statistics.median(run['cpu'] for run in runs):.0f} ms, of its sidecar "
            f"{statistics.median(run['sidecar'] for run in runs):.0f} ms"
        )
    print(f"load {os.getloadavg()[0]:.1f}")


def _process(name: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, name],
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _one_run(subject: subprocess.Popen[str], sidecar: int) -> dict[str, float]:
    before = _cpu_ms(sidecar)
    _pipe(subject.stdin).write("run\n")
    _pipe(subject.stdin).flush()
    line = _pipe(subject.stdout).readline()
    if not line:
        raise SystemExit("a subject ended")
    run: dict[str, float] = json.loads(line)
    return run | {"sidecar": _cpu_ms(sidecar) - before}


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise SystemExit("a subject has no pipe")
    return pipe


def _cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_MS


async def _serve(name: str) -> None:
    from bench.loop_subjects import floor, ours, run_of

    async with AsyncExitStack() as parts:
        run: Any
        if name == "ours":
            run = run_of(await parts.enter_async_context(ours()))
        else:
            run = await parts.enter_async_context(floor(keeping=name == "keeping"))
        for _ in range(3):
            await run(STEPS)
        while await asyncio.to_thread(sys.stdin.readline):
            began, cpu = time.perf_counter(), time.process_time()
            await run(STEPS)
            wall = time.perf_counter() - began
            print(
                json.dumps({"wall": 1000 * wall, "cpu": 1000 * (time.process_time() - cpu)}),
                flush=True,
            )


if __name__ == "__main__":
    main()
