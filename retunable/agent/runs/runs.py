"""The runs of one agent: each is begun by ``starting``, its answer awaited by ``awaiting``; here it is
looked at, listed, ended and erased.

A run is over when its end is recorded.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from retunable.agent.loop.steps import timestamp
from retunable.agent.loop.workflow_client import (
    Progress,
    SidecarBusy,
    SidecarRefused,
    WorkflowClient,
)
from retunable.agent.runs.awaiting import Awaiting
from retunable.agent.runs.book import RunBook
from retunable.agent.runs.documents import Ended, RunRequest
from retunable.agent.runs.index import RunIndex
from retunable.agent.runs.memory import RunMemory
from retunable.agent.runs.records import RunResult
from retunable.agent.runs.starting import Starting
from retunable.agent.runs.status import status_of, tokens_of
from retunable.agent.runs.telling import TellsRuns
from retunable.agent.runs.views import RunState, RunStatus
from retunable.errors import Unavailable

SETTLE_STOP_SECONDS: Final = 1.0
SETTLED_AT_ONCE: Final = 50
WAIT_SECONDS: Final = 10.0
"""How long the workflow of a run that is ended may take to end."""


class Runs:
    """What may be done with the runs of one agent, on one event loop."""

    def __init__(
        self,
        workflows: WorkflowClient,
        *,
        starting: Starting,
        awaiting: Awaiting,
        book: RunBook,
        index: RunIndex,
        telling: TellsRuns,
        end_here: Callable[[str], Awaitable[None]],
    ) -> None:
        """``end_here`` cancels what this process runs for a run."""
        self._workflows = workflows
        self._starting = starting
        self._awaiting = awaiting
        self._book = book
        self._index = index
        self._telling = telling
        self._end_here = end_here
        self._answered: deque[tuple[float, str]] = deque(maxlen=SETTLED_AT_ONCE)

    async def run(self, request: RunRequest, *, deadline: float | None) -> RunResult:
        """Start a run, or join the one of this id, and wait for its answer.

        Raises: what ``DurableAgent.run`` names.
        """
        until = math.inf if deadline is None else time.monotonic() + deadline
        memory = await self._starting.begin(request, until)
        if not memory.is_over:
            await self._awaiting.until_over(memory, until)
            self._answered.append((time.monotonic(), memory.begun.run_id))
        return await self._awaiting.answer(memory)

    async def begin(self, request: RunRequest) -> RunStatus:
        """Start a run, or find the one of this id."""
        return status_of(await self._starting.begin(request, math.inf))

    async def settle(self) -> None:
        """Let the workflows close whose runs were just answered, for at most a second.

        A worker that leaves in the middle of a workflow's turn can keep daprd from taking the
        next one for seconds.
        """
        since = time.monotonic() - SETTLE_STOP_SECONDS
        late = [run_id for at, run_id in self._answered if at > since]
        waits = (self._workflows.wait(run_id, seconds=SETTLE_STOP_SECONDS) for run_id in late)
        await asyncio.gather(*waits, return_exceptions=True)

    async def state(self, run_id: str) -> RunStatus:
        """Return how a run is now."""
        return await self._state_of(await self._book.found(run_id))

    async def latest(self, limit: int) -> tuple[RunStatus, ...]:
        """Return the latest runs, newest first."""
        states = []
        for run_id in await self._index.latest(limit):
            memory = await self._book.find(run_id)
            if memory is not None:
                states.append(await self._state_of(memory))
        return tuple(states)

    async def stop(self, run_id: str) -> RunStatus:
        """End a run without an answer; one that is over stays as it is."""
        memory = await self._book.found(run_id)
        if memory.ended is None:
            memory = await self._book.load(run_id) or memory  # the steps that others recorded
        if memory.ended is None:
            ended = Ended(
                state=RunState.STOPPED,
                ended_at=timestamp(),
                steps=len(memory.steps),
                tokens=tokens_of(memory),
                reason="stopped",
            )
            await self._book.end(memory, ended)
        if memory.ended is not None and memory.ended.state is RunState.STOPPED:
            await self._terminate(run_id)
        return status_of(memory)

    async def goes_on(self, run_id: str) -> bool:
        """Tell whether a run is not over: its end is not recorded, and its workflow goes on."""
        memory = await self._book.find(run_id)
        if memory is not None and memory.ended is not None:
            return False
        return (await self._look(run_id)) is Progress.GOES_ON

    async def erase(self, run_id: str) -> None:
        """Forget a run: end it, take its content out of what is kept, purge its workflow."""
        await self._terminate(run_id)
        await self._tell_stopped(run_id)
        await self._book.erase(run_id, ended_at=timestamp())
        try:
            await self._workflows.purge(run_id)
        except (SidecarBusy, SidecarRefused) as error:
            raise _not_taken(f"did not purge run {run_id}", error) from error

    async def _tell_stopped(self, run_id: str) -> None:
        memory = await self._book.load(run_id)
        if memory is not None and memory.ended is None:
            self._telling.ended(memory, RunState.STOPPED)

    async def _state_of(self, memory: RunMemory) -> RunStatus:
        """Return a run's state; where its workflow ended unrecorded, by what the sidecar says."""
        if memory.ended is not None:
            return status_of(memory)
        match await self._look(memory.begun.run_id):
            case Progress.GOES_ON:
                return status_of(memory)
            case Progress.TERMINATED:
                return status_of(memory, unrecorded=RunState.STOPPED)
            case _:
                again = await self._book.found(memory.begun.run_id)
                return status_of(again, unrecorded=RunState.FAILED)

    async def _look(self, run_id: str) -> Progress:
        try:
            return (await self._workflows.look(run_id)).progress
        except (SidecarBusy, SidecarRefused) as error:
            raise _not_taken(f"does not say how run {run_id} is", error) from error

    async def _terminate(self, run_id: str) -> None:
        await self._end_here(run_id)
        try:
            await self._workflows.terminate(run_id)
            await self._workflows.wait(run_id, seconds=WAIT_SECONDS)
        except SidecarRefused:
            return  # nothing goes on
        except SidecarBusy as error:
            raise _not_taken(f"did not end run {run_id}", error) from error


def _not_taken(what: str, error: Exception) -> Unavailable:
    return Unavailable(f"the sidecar {what} ({error}); try again", part="sidecar")
