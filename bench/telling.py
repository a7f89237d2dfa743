"""`python -m bench.telling`: runs that are told to the control plane, beside the same that are not.

Three agents of one process on one embedded sidecar, which is also the broker, turn by turn: one tells
nobody, one tells, one tells while no broker takes it. The model answers at once inside the process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import permutations
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from dev.embedded import EmbeddedStack
from retunable import DurableAgent, Env, ModelReply, ModelRequest, OfflineProvider
from retunable.agent.runs import parts
from retunable.agent.runs.telling import NotTold
from retunable.events import publisher

TOGETHER: Final = ((1, 10), (20, 100))
"""How many runs go on at once, and how many a turn has."""
WARM_UP_TURNS: Final = 2
DRAIN_SECONDS: Final = 60.0


class Answers(OfflineProvider):
    """Answers at once."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        return ModelReply(text=request.messages[-1].text, input_tokens=5, output_tokens=5)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.telling", description=__doc__)
    parser.add_argument("--turns", type=int, default=18)
    turns = parser.parse_args().turns
    with tempfile.TemporaryDirectory(prefix="retunable-bench-") as folder:
        os.chdir(folder)  # events wait in files beside the program
        with EmbeddedStack(Path(folder) / "stack", app_id="bench") as stack:
            os.environ.update(stack.environment, BENCH_USER_KEY="of the bench")
            asyncio.run(_measure(turns))


@contextmanager
def exchanged(module: ModuleType, name: str, other: Any) -> Iterator[None]:
    """Have a module use something else while an agent starts."""
    own = getattr(module, name)
    setattr(module, name, other)
    try:
        yield
    finally:
        setattr(module, name, own)


async def _measure(turns: int) -> None:
    agents = {name: _agent(name) for name in ("untold", "told", "no broker")}
    with exchanged(parts, "Telling", lambda *_, **__: NotTold()):
        await agents["untold"].start()
    nowhere = partial(publisher.EventPublisher, pubsub="nowhere")
    with exchanged(publisher, "EventPublisher", nowhere):
        await agents["no broker"].start()
    await agents["told"].start()
    for at_once, runs in TOGETHER:
        taken: dict[str, list[float]] = {name: [] for name in agents}
        for turn in range(WARM_UP_TURNS + turns):
            for name in _order(agents, turn):
                seconds = await _turn(agents[name], runs, at_once)
                if turn >= WARM_UP_TURNS:
                    taken[name].append(seconds)
        _print(f"{at_once} at once", runs, taken)
    for agent in agents.values():
        status = agent.status
        print(f"{agent.name}: {status.events_waiting} events wait, {status.events_dropped} dropped")
        await agent.stop()


def _order(agents: dict[str, DurableAgent], turn: int) -> list[str]:
    """Return who goes when: each follows each other as often, for what one leaves behind costs the next."""
    orders = list(permutations(agents))
    return list(orders[turn % len(orders)])


def _print(shown: str, runs: int, taken: dict[str, list[float]]) -> None:
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        turn_by_turn = statistics.median(
            one / other for one, other in zip(seconds, taken["untold"], strict=True)
        )
        print(
            f"{shown:10} {name:10} {runs / middle:5.0f} runs/s, {middle / runs * 1000:5.1f} ms each, "
            f"turn by turn {turn_by_turn:.2f} x   load {os.getloadavg()[0]:.1f}"
        )


def _agent(name: str) -> DurableAgent:
    return DurableAgent(
        name=name,
        model="m",
        provider="answers",
        providers={"answers": Answers()},
        persona_log_seconds=None,
        heartbeat_seconds=None,
        user_key=Env("BENCH_USER_KEY"),
    )


async def _turn(agent: DurableAgent, runs: int, at_once: int) -> float:
    """Have the runs of a turn answered, then what is told of them taken; return seconds of the first."""
    places = asyncio.Semaphore(at_once)

    async def run(number: int) -> str:
        async with places:
            return (await agent.run(f"{number}", user_id=f"user-{number}")).text

    began = time.perf_counter()
    answers = await asyncio.gather(*map(run, range(runs)))
    seconds = time.perf_counter() - began
    if answers != [f"{number}" for number in range(runs)]:
        raise SystemExit(f"{agent.name}: a run was lost")
    await _drained(agent)
    return seconds


async def _drained(agent: DurableAgent) -> None:
    """Wait for the broker to have what was told, where there is one."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while agent.name == "told" and agent.status.events_waiting:
        if time.monotonic() > deadline:
            raise SystemExit(f"{agent.status.events_waiting} events still wait")
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    main()
