"""Outages of a minute: what an agent did in each, for tests to judge.

They are almost only waiting, so all of them run in threads from the start of the suite.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from retunable.testing import answer, tool_calls
from tests.behaviour import runs
from tests.behaviour.lab import ANSWER, Lab
from tests.behaviour.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.behaviour.agent_process import AgentProcess, Json
    from tests.behaviour.backend import Backend, BackendName

MOST_AT_ONCE = 8
ABSENT_SECONDS = 60.0
LOOK_SECONDS = 3.0
RECOVERY_SECONDS = 90.0
ROLE = "the role before the outage"
ACCEPTED = "accepted before the outage"


@dataclass(frozen=True)
class Refusal:
    """A run that was refused."""

    status: int
    problem: Json
    seconds: float


@dataclass(frozen=True)
class SidecarAbsent:
    """The sidecar was away for a minute; ``accepted`` is a run from before, ``asked`` its requests."""

    configs: tuple[Json, ...]
    refusals: tuple[Refusal, ...]
    applied_seconds: float
    answered: Json
    accepted: Json
    asked: int


@dataclass(frozen=True)
class StateStoreAbsent:
    """The state store was away for a minute; ``accepted`` is a run from before, ``asked`` its requests."""

    refusals: tuple[Refusal, ...]
    configs: tuple[Json, ...]
    accepted: Json
    asked: int
    answered: Json


@dataclass(frozen=True)
class StoreAbsentAtStart:
    """The configuration store was down when sidecar and agent started."""

    config: Json
    answered: Json
    told: str
    recovered_seconds: float
    recovered: Json


def sidecar_absent(lab: Lab) -> SidecarAbsent:
    """Keep the sidecar away for a minute, looking and asking all the while."""
    agent = _retuned_agent(lab)
    hold = _begin_held(lab, agent)
    with lab.backend.without_sidecar():
        hold.set()
        configs, refusals = _look_on(agent)
    applied = _time_to_apply(lab, agent, within_seconds=RECOVERY_SECONDS)
    accepted = runs.ended(agent, ACCEPTED, within_seconds=RECOVERY_SECONDS)
    asked = len(lab.asked(ACCEPTED))
    return SidecarAbsent(configs, refusals, applied, agent.answer(), accepted, asked)


def state_store_absent(lab: Lab) -> StateStoreAbsent:
    """Keep the state store away for a minute, looking and asking all the while."""
    agent = _retuned_agent(lab)
    hold = _begin_held(lab, agent)
    with lab.backend.without_state_store():
        hold.set()
        configs, refusals = _look_on(agent)
    accepted = runs.ended(agent, ACCEPTED, within_seconds=RECOVERY_SECONDS)
    return StateStoreAbsent(refusals, configs, accepted, len(lab.asked(ACCEPTED)), agent.answer())


def store_absent_at_start(lab: Lab) -> StoreAbsentAtStart:
    """Start sidecar and agent without the store, which they knew before; then bring it back."""
    _retuned_agent(lab).stop()
    lab.backend.stop_sidecar()
    lab.backend.stop_store()
    lab.backend.start_sidecar()
    agent = lab.start_agent()
    config, answered, told = agent.config(), agent.answer(), lab.told()
    lab.backend.start_store()
    recovered = _time_to_apply(lab, agent, within_seconds=RECOVERY_SECONDS)
    agent.wait_live()
    return StoreAbsentAtStart(config, answered, told, recovered, agent.config())


SCENARIOS: Mapping[str, Callable[[Lab], object]] = {
    "without_sidecar": sidecar_absent,
    "without_store": store_absent_at_start,
    "without_state_store": state_store_absent,
}


class Outages:
    """Outages under way, by their scenario's name and their backend's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE)
        self._running: dict[tuple[str, BackendName], Future[object]] = {}

    def begin(self, scenario: str, backend: type[Backend]) -> None:
        """Let an outage begin, unless it is under way."""
        key = (scenario, backend.name)
        if key not in self._running:
            folder = self._folder / f"{scenario}-{backend.name}"
            self._running[key] = self._pool.submit(_run, SCENARIOS[scenario], backend, folder)

    def outcome(self, scenario: str, backend: type[Backend]) -> Any:
        """Wait for an outage's end; raises what went wrong in it."""
        self.begin(scenario, backend)
        return self._running[scenario, backend.name].result()

    def close(self) -> None:
        """Wait for all that run."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _run(scenario: Callable[[Lab], object], backend: type[Backend], folder: Path) -> object:
    with (
        backend.create(folder / "backend", separate_state=True) as running,
        Lab(running, folder) as lab,
    ):
        return scenario(lab)


def _retuned_agent(lab: Lab) -> AgentProcess:
    agent = lab.start_agent()
    agent.wait_live()
    lab.backend.set("agent_role", ROLE)
    agent.wait_values({"role": ROLE})
    agent.answer()
    return agent


def _begin_held(lab: Lab, agent: AgentProcess) -> threading.Event:
    """Have a run accepted that waits for its model until the event is set."""
    hold = threading.Event()
    asks = tool_calls(("note", {"text": "before the outage"}))
    lab.model.script(replace(asks, hold=hold), answer(ANSWER))
    runs.begin(agent, ACCEPTED)
    lab.wait_asked(ACCEPTED)
    return hold


def _look_on(agent: AgentProcess) -> tuple[tuple[Json, ...], tuple[Refusal, ...]]:
    """Look and ask for as long as an outage is to last."""
    configs: list[Json] = []
    refusals: list[Refusal] = []
    until = time.monotonic() + ABSENT_SECONDS
    while time.monotonic() < until:
        refusals.append(_refused_run(agent))
        configs.append(agent.config())
        time.sleep(LOOK_SECONDS)
    return tuple(configs), tuple(refusals)


def _refused_run(agent: AgentProcess) -> Refusal:
    began = time.monotonic()
    response = agent.run()
    return Refusal(response.status_code, response.json(), time.monotonic() - began)


def _time_to_apply(lab: Lab, agent: AgentProcess, *, within_seconds: float) -> float:
    role = "the role after the outage"
    began = time.monotonic()
    lab.backend.set("agent_role", role)
    agent.wait_values({"role": role}, within_seconds=within_seconds)
    seconds = time.monotonic() - began
    eventually(
        lambda: agent.config()["status"],
        what="READY",
        within_seconds=10,
        until=lambda status: status == "READY",
    )
    return seconds
