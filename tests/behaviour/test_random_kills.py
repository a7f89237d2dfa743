"""Runs through kills of agent and sidecar at random: each has one answer, and all accounts balance.

Small by default; the size of a release is RETUNABLE_KILLED_RUNS=50 RETUNABLE_KILLS=20.
"""

from __future__ import annotations

import os
import random
import time
from bisect import bisect
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.behaviour import charges, runs
from tests.behaviour.charges import Charge, WorkingModel
from tests.behaviour.waiting import eventually

if TYPE_CHECKING:
    from tests.behaviour.agent_process import AgentProcess
    from tests.behaviour.lab import Lab
    from tests.behaviour.measured import RecordProperty

RUNS = int(os.environ.get("RETUNABLE_KILLED_RUNS", "12"))
KILLS = int(os.environ.get("RETUNABLE_KILLS", "4"))
SEED = int(os.environ.get("RETUNABLE_KILL_SEED", "20"))
TOOLS = 3
WORK_SECONDS = 0.1
STILL_SECONDS = 5.0
SOON_SECONDS = 0.15
BEGUN_AT_ONCE = 10
ASK_SECONDS = 0.2
END_SECONDS = 60.0 + 3.0 * KILLS


class Killed:
    """An agent and its sidecar that are killed and started again, and the times of the starts."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._agent = lab.start_agent()
        self.starts = [time.time()]
        self.sidecar_kills = 0

    @property
    def agent(self) -> AgentProcess:
        """The one that runs now."""
        return self._agent

    def kill_agent(self) -> None:
        self._agent.kill()
        self._agent = self._lab.begin_agent()
        self.starts.append(time.time())
        self._agent.wait_serving()

    def kill_sidecar(self) -> None:
        with self._lab.backend.without_sidecar():
            self.sidecar_kills += 1

    def lives(self, paid: Iterable[Charge]) -> Counter[tuple[object, int]]:
        """Count what was paid by what it was for and by which life of the agent paid it."""
        return Counter((charge.item, bisect(self.starts, charge.at)) for charge in paid)


@pytest.mark.slow
@pytest.mark.timeout(120 + 2 * END_SECONDS)
def test_runs_survive_an_agent_and_a_sidecar_killed_at_random(
    lab: Lab, record_property: RecordProperty
) -> None:
    chance, model = random.Random(SEED), WorkingModel(tools=TOOLS, work_seconds=WORK_SECONDS)
    lab.model.answer_always(model)
    killed = Killed(lab)
    names = [f"run {number}" for number in range(RUNS)]
    with ThreadPoolExecutor(BEGUN_AT_ONCE) as pool:
        begun = [pool.submit(_begin, killed, name) for name in names]
        _kill_at_random(killed, model, chance)
        agent = killed.agent
        runs.survived(lab, agent, names[0])
        for accepted in begun:
            accepted.result()
    ends = {name: runs.survived(lab, agent, name) for name in names}
    assert {end["text"] for end in ends.values()} == {model.answer}, ends
    done: dict[charges.Item, float] = {}
    for name in names:
        done |= charges.recorded(runs.explained(agent, name))
    assert len(done) == RUNS * (2 * TOOLS + 1)
    paid = [*model.charges, *charges.of_tools(agent)]
    assert charges.late(paid, done) == []
    twice_in_one_life = {what: n for what, n in killed.lives(paid).items() if n > 1}
    assert twice_in_one_life == {}
    record_property("kills", f"{len(killed.starts) - 1} + {killed.sidecar_kills}")
    record_property("recorded", len(done))
    record_property("paid again", len(paid) - len(done))
    record_property("locked sidecars", lab.locked_sidecars)


def _kill_at_random(killed: Killed, model: WorkingModel, chance: random.Random) -> None:
    """Kill one or the other each time that some more was done; the moment itself is chance."""
    between = max(1, RUNS * (TOOLS + 1) // KILLS)
    kills = [killed.kill_agent, killed.kill_sidecar] * (KILLS // 2)
    chance.shuffle(kills)
    for kill in kills:
        _wait_for_more(model, chance.randint(1, between))
        time.sleep(chance.uniform(0.0, SOON_SECONDS))
        kill()


def _wait_for_more(model: WorkingModel, count: int) -> None:
    """Wait for so many requests, or for nothing to be left that makes them."""
    awaited, still = len(model.charges) + count, time.monotonic() + STILL_SECONDS
    eventually(
        lambda: len(model.charges) >= awaited or time.monotonic() > still,
        what=f"{count} more requests",
        within_seconds=2 * STILL_SECONDS,
    )


def _begin(killed: Killed, name: str) -> None:
    """Ask until a run is accepted, as a caller does who is told 503 or nothing at all."""
    until = time.monotonic() + END_SECONDS
    while True:
        try:
            response = killed.agent.run(name, run_id=name, wait=False)
        except (httpx2.TransportError, RuntimeError):
            status, told = 0, "no answer"  # killed, or its client is closed
        else:
            status, told = response.status_code, response.text
        if status == 202:
            return
        assert status in (0, 503), f"{name}: {status} {told}"
        assert time.monotonic() < until, f"{name} was never accepted: {told}"
        time.sleep(ASK_SECONDS)
