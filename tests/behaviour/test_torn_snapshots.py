"""Invariant 1: no snapshot is torn, however fast two fields change together.

Every snapshot of the process is looked at, and what readers get from outside meanwhile, while
reads that nobody asked for come all the time.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from typing import TYPE_CHECKING, Literal

import pytest

from tests.behaviour.agent_settings import DOCUMENT_KEY, AgentSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.behaviour.agent_process import AgentProcess
    from tests.behaviour.lab import Lab
    from tests.behaviour.measured import RecordProperty

WRITES = 300
MOST_ROUNDS = 20
SNAPSHOTS = 30
MOST_PAUSE_SECONDS = 0.006
READERS = 2
SETTINGS = AgentSettings(timings={"reconcile_seconds": 0.05})

Values = Literal["unique", "alternating"]
Pair = tuple[str, str]
VALUES = pytest.mark.parametrize("values", ["unique", "alternating"])


@VALUES
def test_a_document_is_never_torn(
    lab: Lab, values: Values, record_property: RecordProperty
) -> None:
    torn = _torn_snapshots(lab, values, _as_document, record_property)
    assert torn == []


@VALUES
def test_field_keys_of_one_write_are_torn_only_where_the_store_cannot_help(
    lab: Lab, values: Values, record_property: RecordProperty
) -> None:
    torn = _torn_snapshots(lab, values, _as_field_keys, record_property)
    if lab.backend.exact_field_keys or values == "unique":
        assert torn == []


def _torn_snapshots(
    lab: Lab,
    values: Values,
    items: Callable[[str], Mapping[str, str]],
    record_property: RecordProperty,
) -> list[Pair]:
    agent = lab.start_agent(SETTINGS)
    agent.wait_live()
    with _Readers(agent) as readers:
        last = _write_all(lab, agent, values, items)
        agent.wait_values({"role": f"role {last}", "goal": f"goal {last}"})
    observed = agent.observed("snapshot")
    assert [fact["revision"] for fact in observed] == list(range(1, len(observed) + 1))
    snapshots = [(fact["role"], fact["goal"]) for fact in observed]
    # Less would not have followed the writes at all.
    assert len(snapshots) >= SNAPSHOTS
    assert len(readers.seen) >= SNAPSHOTS
    torn = [pair for pair in (*snapshots, *readers.seen) if _is_torn(pair)]
    record_property("torn", f"{sum(map(_is_torn, snapshots))} of {len(snapshots)} snapshots")
    record_property("reads_meanwhile", len(readers.seen))
    return torn


def _write_all(
    lab: Lab, agent: AgentProcess, values: Values, items: Callable[[str], Mapping[str, str]]
) -> str:
    """Write round after round until enough snapshots have come of it; returns the last mark.

    Between two writes a slow machine finds the time for few readings, and on Redis two must agree.
    """
    pauses = random.Random(3)
    marks = _marks(values)
    mark = ""
    with lab.backend.writer() as write:
        for _ in range(MOST_ROUNDS):
            for mark in itertools.islice(marks, WRITES):
                write(items(mark))
                # So that reads fall before, into and behind the writes.
                time.sleep(pauses.uniform(0, MOST_PAUSE_SECONDS))
            if len(agent.observed("snapshot")) >= SNAPSHOTS:
                break
    return mark


def _marks(values: Values) -> Iterator[str]:
    if values == "unique":
        return map(str, itertools.count(1))
    return itertools.cycle(("A", "B"))


def _as_document(mark: str) -> Mapping[str, str]:
    return {DOCUMENT_KEY: json.dumps({"role": f"role {mark}", "goal": f"goal {mark}"})}


def _as_field_keys(mark: str) -> Mapping[str, str]:
    return {"agent_role": f"role {mark}", "agent_goal": f"goal {mark}"}


def _is_torn(pair: Pair) -> bool:
    role, goal = pair
    # Before the first write both are the code's.
    return role.removeprefix("role ") != goal.removeprefix("goal ") and (
        role.startswith("role ") or goal.startswith("goal ")
    )


class _Readers:
    """Threads that read the effective config all the while."""

    def __init__(self, agent: AgentProcess) -> None:
        self.seen: list[Pair] = []
        self._agent = agent
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._read) for _ in range(READERS)]

    def _read(self) -> None:
        while not self._done.is_set():
            values = self._agent.values()
            self.seen.append((values["role"], values["goal"]))

    def __enter__(self) -> _Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()
