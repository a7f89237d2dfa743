"""What runs were charged: each model request and tool call as it came, and what was recorded of it.

A run's message is its id, and each of its steps but the last asks for one tool. All clocks are
this machine's.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from retunable.testing import answer, tool_calls
from tests.behaviour.agent_under_test import CALLS

if TYPE_CHECKING:
    from retunable.testing import RecordedRequest, Reply
    from tests.behaviour.agent_process import AgentProcess, Json

# Records are stamped in whole milliseconds.
CLOCK_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Item:
    """What is paid for: a step's model call, or (``call``) one of its tool calls."""

    run: str
    step: int
    call: int | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """One time that something was paid for."""

    item: Item
    at: float


class WorkingModel:
    """Has every run call ``work`` so many times, and notes each request; a model server's script."""

    def __init__(self, *, tools: int, work_seconds: float = 0.02) -> None:
        self.charges: list[Charge] = []
        self._tools = tools
        self._work_seconds = work_seconds

    def __call__(self, request: RecordedRequest) -> Reply:
        done = sum(message["role"] == "tool" for message in request.messages)
        (run,) = (m["content"] for m in request.messages if m["role"] == "user")
        self.charges.append(Charge(Item(run, done + 1), time.time()))
        if done < self._tools:
            return tool_calls(("work", {"seconds": self._work_seconds}))
        return answer(self.answer)

    @property
    def answer(self) -> str:
        """What every run answers."""
        return f"after {self._tools} calls"


def of_tools(agent: AgentProcess, run: str | None = None) -> list[Charge]:
    """Return every tool call that really ran in an agent's folder, of one run or of all."""
    file = agent.folder / CALLS
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    paid = [_tool_charge(json.loads(line)) for line in lines if line.endswith("\n")]
    return [charge for charge in paid if run in (None, charge.item.run)]


def recorded(explanation: Json) -> dict[Item, float]:
    """Return what is recorded of a run, with the time at which it was done."""
    return dict(_recorded(explanation))


def late(charges: Iterable[Charge], done: Mapping[Item, float]) -> list[Charge]:
    """Return the charges for what was recorded before.

    Exact: one process asks once, and the next one starts after the last one's record was written.
    """
    return [c for c in charges if c.at > done[c.item] + CLOCK_SECONDS]


def most(charges: Iterable[Charge]) -> int:
    """Return how often the same was paid for at most."""
    return max(Counter(charge.item for charge in charges).values(), default=0)


def _tool_charge(line: Json) -> Charge:
    run, step, call = line["call"].rsplit(".", 2)
    return Charge(Item(run, int(step), int(call)), line["at"])


def _recorded(explanation: Json) -> Iterator[tuple[Item, float]]:
    run = explanation["status"]["run_id"]
    for step in explanation["steps"]:
        number = step["record"]["step"]
        yield Item(run, number), _seconds(step["record"]["ended_at"])
        for index, call in enumerate(step["calls"]):
            yield Item(run, number, index), _seconds(call["ended_at"])


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
