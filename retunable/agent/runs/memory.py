"""What a process remembers of runs, so that the steps it runs itself need no reads."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from retunable.agent.models.model import Message
from retunable.agent.runs.documents import Begun, Ended, Step, ToolResult

REMEMBERED_RUNS: Final = 1000


@dataclass(slots=True)
class RunMemory:
    """One run as far as this process has seen it.

    ``untouched`` is True from when this process began the run under an id of its own to its first
    step here: its workflow need not be looked for before it is started. ``history`` is what the
    model is told of earlier runs. The first ``whole`` steps were seen to be here with their tool
    results, so that step 200 asks as little as step 10.
    """

    begun: Begun
    untouched: bool = False
    steps: dict[int, Step] = field(default_factory=dict)
    results: dict[tuple[int, int], ToolResult] = field(default_factory=dict)
    ended: Ended | None = None
    history: tuple[Message, ...] | None = None
    whole: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        """Whether its end is recorded."""
        return self.ended is not None

    def knows_all_before(self, step: int) -> bool:
        """Tell whether every step before this one is here, with its tool results."""
        while self.whole < step - 1 and self._is_whole(self.whole + 1):
            self.whole += 1
        return self.whole >= step - 1

    def _is_whole(self, number: int) -> bool:
        step = self.steps.get(number)
        return step is not None and all((number, n) in self.results for n in step.runnable)

    def tell(self) -> None:
        """Wake who waits for news of this run."""
        self.news.set()
        self.news = asyncio.Event()


class RunMemories:
    """The latest runs of this process."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, RunMemory] = OrderedDict()

    def get(self, run_id: str) -> RunMemory | None:
        """Return what is remembered of a run."""
        if (memory := self._runs.get(run_id)) is not None:
            self._runs.move_to_end(run_id)
        return memory

    def add(self, memory: RunMemory) -> RunMemory:
        """Remember a run; the one seen longest ago is dropped where there are too many."""
        self._runs[memory.begun.run_id] = memory
        self._runs.move_to_end(memory.begun.run_id)
        while len(self._runs) > REMEMBERED_RUNS:
            self._runs.popitem(last=False)
        return memory

    def drop(self, run_id: str) -> None:
        """Remember nothing of a run."""
        self._runs.pop(run_id, None)
