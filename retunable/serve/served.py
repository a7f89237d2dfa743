"""What a face needs from an agent; ``DurableAgent`` is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, Unpack

from retunable.agent.runs.records import RunResult
from retunable.agent.runs.telling import Rating
from retunable.agent.runs.views import ExplainedStep, Explanation, RunStatus
from retunable.agent.status import AgentStatus
from retunable.config.declaration import Declaration
from retunable.config.snapshot import Snapshot
from retunable.serve.caller import Asked


class TakesRuns(Protocol):
    """Runs messages, waiting for the answer or not."""

    async def run(
        self, message: str, *, deadline: float | None = None, **asked: Unpack[Asked]
    ) -> RunResult: ...
    async def begin(self, message: str, **asked: Unpack[Asked]) -> RunStatus: ...


class KeepsRuns(Protocol):
    """Tells what became of runs, takes ratings, ends runs and forgets what was said in them."""

    async def run_state(self, run_id: str) -> RunStatus: ...
    async def runs(self, *, limit: int = 50) -> tuple[RunStatus, ...]: ...
    async def explain(self, run_id: str) -> Explanation: ...
    def follow(self, run_id: str) -> AsyncIterator[ExplainedStep]: ...
    async def stop_run(self, run_id: str) -> RunStatus: ...
    async def feedback(
        self, run_id: str, rating: Rating, *, user_id: str | None = None
    ) -> None: ...
    async def forget(self, conversation_id: str) -> int: ...


class ServedAgent(TakesRuns, KeepsRuns, Protocol):
    """The seam between a face and the agent behind it."""

    @property
    def declaration(self) -> Declaration: ...
    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def status(self) -> AgentStatus: ...
