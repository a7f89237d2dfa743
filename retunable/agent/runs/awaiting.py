"""How a caller waits for a run's answer: for the end that is recorded, in this process or elsewhere.

Where it happens in this process the caller is told at once, without waiting for the workflow to
close behind it; else the sidecar is asked again and again.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from itertools import count
from typing import Final

from retunable.agent.loop.workflow_client import (
    Progress,
    SidecarBusy,
    SidecarRefused,
    WorkflowClient,
)
from retunable.agent.runs.book import RunBook
from retunable.agent.runs.memory import RunMemory
from retunable.agent.runs.records import RunResult, run_result
from retunable.agent.runs.starting import Starting
from retunable.agent.runs.telling import TellsRuns
from retunable.agent.runs.views import RunState
from retunable.agent.sidecar_link import SidecarLink
from retunable.errors import ConversationBusy, RunFailed, RunForgotten, RunTimeout, Unavailable
from retunable.waiting import wait_until_set

WAIT_SECONDS: Final = 10.0
"""One wait; after it the question is put again, for a hung sidecar never answers the first."""
RETRY_SECONDS: Final = 0.2
DOUBTS: Final = 5
ASIDE_SECONDS: Final = 0.1
"""How long only this process is listened to before the sidecar is asked: most runs end sooner."""


class Awaiting:
    """Waits for the runs of one agent, and takes up those that ended without a recorded end."""

    def __init__(
        self,
        link: SidecarLink,
        workflows: WorkflowClient,
        *,
        book: RunBook,
        starting: Starting,
        telling: TellsRuns,
    ) -> None:
        self._link = link
        self._workflows = workflows
        self._book = book
        self._starting = starting
        self._telling = telling

    async def until_over(self, memory: RunMemory, until: float) -> None:
        """Wait until a run's end is recorded, here or elsewhere.

        Raises:
            RunTimeout: it goes on beyond ``until``, or this agent is stopped.
            RunFailed: its workflow ended without that.
        """
        run_id, doubts = memory.begun.run_id, count(1)
        await self._ended_here(memory, min(until, time.monotonic() + ASIDE_SECONDS))
        while not memory.is_over and (left := until - time.monotonic()) > 0:
            if self._link.closed:
                raise _agent_stopped(run_id)
            asking = asyncio.create_task(self._asked(run_id, min(WAIT_SECONDS, left)))
            here = asyncio.create_task(self._ended_here(memory, math.inf))
            try:
                await asyncio.wait({asking, here}, return_when=asyncio.FIRST_COMPLETED)
                if asking.done() and not memory.is_over:
                    await self._take_end(memory, asking.result(), doubts)
            finally:
                asking.cancel()
                here.cancel()
        if not memory.is_over:
            raise RunTimeout(
                f"run {run_id} goes on beyond the deadline of its caller", run_id=run_id
            )

    async def answer(self, memory: RunMemory) -> RunResult:
        """Return the answer of a run that is over; raise why it has none."""
        ended, run_id = memory.ended, memory.begun.run_id
        if ended is None:
            raise RunTimeout(f"run {run_id} goes on", run_id=run_id)
        if ended.busy_with is not None:
            raise ConversationBusy(memory.begun.conversation_id or "", holder=ended.busy_with)
        if ended.state is RunState.FORGOTTEN:
            raise RunForgotten(run_id)
        if ended.state is not RunState.FINISHED or ended.stop_reason is None:
            raise RunFailed.of(run_id, ended.reason or ended.state.value)
        if len(memory.steps) < ended.steps:
            memory = await self._book.load(run_id) or memory
        records = tuple(memory.steps[number].record for number in sorted(memory.steps))
        return run_result(run_id, ended.text or "", ended.stop_reason, records)

    async def _ended_here(self, memory: RunMemory, until: float) -> None:
        while not memory.is_over and not self._link.closed:
            left = until - time.monotonic()
            within_seconds = None if math.isinf(left) else left
            if not await wait_until_set(memory.news, within_seconds=within_seconds):
                return

    async def _asked(self, run_id: str, seconds: float) -> tuple[Progress, str]:
        """Return how the sidecar says that a workflow ended; GOES_ON if it does not say now."""
        try:
            state = await self._workflows.wait(run_id, seconds=seconds)
        except SidecarBusy:
            await asyncio.sleep(RETRY_SECONDS)
            return Progress.GOES_ON, ""
        except SidecarRefused as refused:
            return Progress.FAILED, str(refused)
        except asyncio.CancelledError:
            # A closed channel cancels its calls; that is not the caller's cancellation.
            if not self._link.closed:
                raise
            raise _agent_stopped(run_id) from None
        return state.progress, state.failure

    async def _take_end(
        self, memory: RunMemory, said: tuple[Progress, str], doubts: Iterator[int]
    ) -> None:
        progress, failure = said
        if progress is Progress.GOES_ON:
            return
        run_id = memory.begun.run_id
        try:
            found = await self._book.load(run_id)
        except Unavailable:
            return  # asked again
        if found is not None and found.ended is not None:
            memory.ended, memory.steps = found.ended, found.steps
            return
        match progress:
            case Progress.TERMINATED:
                self._telling.ended(memory, RunState.STOPPED)
                raise RunFailed.of(run_id, "terminated")
            case Progress.FAILED:
                self._telling.ended(memory, RunState.FAILED)
                raise RunFailed.of(run_id, failure or "its workflow failed")
            case _ if next(doubts) < DOUBTS:
                # It closed behind a run that is taken up again, or is not said to be started yet.
                await self._starting.resume(memory.begun, math.inf)
                await asyncio.sleep(RETRY_SECONDS)
            case _:
                raise RunFailed.of(run_id, "nothing is kept of it (was its state store emptied?)")


def _agent_stopped(run_id: str) -> RunTimeout:
    message = f"the agent was stopped; run {run_id} goes on when it is started again"
    return RunTimeout(message, run_id=run_id)
