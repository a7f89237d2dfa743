"""Starting runs, waiting for them, ending them: what a run id means, and whom a part that is away
turns down.

A run is over when its end is recorded. Where that happens in this process the caller is told at
once, without waiting for the workflow to close behind it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Final

from retunable.agent.conversations.conversations import Conversations
from retunable.agent.loop.steps import timestamp
from retunable.agent.loop.turn import first_input
from retunable.agent.loop.workflow_client import (
    Progress,
    SidecarBusy,
    SidecarRefused,
    WorkflowClient,
)
from retunable.agent.runs.book import RunBook
from retunable.agent.runs.documents import Begun, Ended, RunRequest
from retunable.agent.runs.index import RunIndex
from retunable.agent.runs.memory import RunMemory
from retunable.agent.runs.records import RunResult, run_result
from retunable.agent.runs.status import status_of, tokens_of
from retunable.agent.runs.telling import NotTold, TellsRuns
from retunable.agent.runs.views import RunState, RunStatus
from retunable.agent.sidecar_link import SidecarLink
from retunable.agent.state.store import TooLarge
from retunable.errors import (
    ConversationBusy,
    RunFailed,
    RunForgotten,
    RunIdConflict,
    RunTimeout,
    RunUnknown,
    Unavailable,
)

SETTLE_SECONDS: Final = 8.0
"""How long a run waits for a part that a sidecar connects just after its own start (1.5 s seen).

A worker that came back within milliseconds of the last one's leaving waits 2 s and more for daprd to
let go of its actors (in-flight lock claims).
"""
WAIT_SECONDS: Final = 10.0
"""One wait; after it the question is put again, for a hung sidecar never answers the first."""
RETRY_SECONDS: Final = 0.2
SETTLE_STOP_SECONDS: Final = 1.0
SETTLED_AT_ONCE: Final = 50
DOUBTS: Final = 5
ASIDE_SECONDS: Final = 0.1
"""How long only this process is listened to before the sidecar is asked: most runs end sooner."""


class Runs:
    """Starts, awaits and ends the runs of one agent, on one event loop."""

    def __init__(
        self,
        link: SidecarLink,
        workflows: WorkflowClient,
        *,
        book: RunBook,
        conversations: Conversations,
        index: RunIndex,
        replica: str,
        end_here: Callable[[str], Awaitable[None]],
        telling: TellsRuns | None = None,
    ) -> None:
        """``end_here`` cancels what this process runs for a run."""
        self._link = link
        self._workflows = workflows
        self._book = book
        self._conversations = conversations
        self._index = index
        self._replica = replica
        self._end_here = end_here
        self._telling = telling or NotTold()
        self._answered: deque[tuple[float, str]] = deque(maxlen=SETTLED_AT_ONCE)

    async def run(self, request: RunRequest, *, deadline: float | None) -> RunResult:
        """Start a run, or join the one of this id, and wait for its answer.

        Raises: what ``DurableAgent.run`` names.
        """
        until = math.inf if deadline is None else time.monotonic() + deadline
        memory = await self._begin(request, until)
        if not memory.is_over:
            await self._over(memory, until)
            self._answered.append((time.monotonic(), memory.begun.run_id))
        return await self._answer(memory)

    async def begin(self, request: RunRequest) -> RunStatus:
        """Start a run, or find the one of this id."""
        return status_of(await self._begin(request, math.inf))

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
        return await self._state_of(await self._found(run_id))

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
        memory = await self._found(run_id)
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

    async def _begin(self, request: RunRequest, until: float) -> RunMemory:
        await self._check_parts(until)
        await self._check_conversation(request)
        run_id = request.run_id
        begun = await self._recorded(request)
        memory = self._book.remembered(run_id)
        if memory is None or not memory.untouched:
            memory = await self._joined(request, begun)
            if memory.ended is not None:
                return memory
        self._index.note(run_id)
        await self._start(begun, until)
        return memory

    async def _recorded(self, request: RunRequest) -> Begun:
        try:
            return await self._book.begin(request, begun_at=timestamp(), replica=self._replica)
        except TooLarge as error:
            reason = "its message is larger than the state store takes (4 MiB)"
            raise _failed(request.run_id, reason) from error

    async def _joined(self, request: RunRequest, begun: Begun) -> RunMemory:
        """Return the run of this id, which somebody began before or at the same moment."""
        memory = await self._book.find(request.run_id)
        if memory is None:
            raise RunUnknown(request.run_id)
        if memory.ended is not None and memory.ended.state is RunState.FORGOTTEN:
            raise RunForgotten(request.run_id)
        if begun.input_hash != request.input_hash:
            raise RunIdConflict(request.run_id)
        if memory.ended is not None and memory.ended.busy_with is not None:
            await self._book.reopen(memory)
            return await self._found(request.run_id)
        return memory

    async def _start(self, begun: Begun, until: float) -> None:
        data = first_input(agent=begun.agent, environment=begun.environment, run_id=begun.run_id)
        seconds = max(until - time.monotonic(), 0)
        try:
            if not await self._needs_start(begun.run_id):
                return
            await self._workflows.start(begun.run_id, data, seconds=seconds)
        except SidecarBusy as busy:
            raise await self._why_not_taken(busy) from busy
        except SidecarRefused as refused:
            raise _failed(begun.run_id, str(refused)) from refused

    async def _needs_start(self, run_id: str) -> bool:
        memory = self._book.remembered(run_id)
        if memory is not None and memory.untouched:
            return True
        # One that completed or failed without a recorded end is taken up where its records end.
        return (await self._workflows.look(run_id)).progress not in (
            Progress.GOES_ON,
            Progress.TERMINATED,
        )

    async def _check_parts(self, until: float) -> None:
        settled = min(until, time.monotonic() + SETTLE_SECONDS)
        while (missing := (await self._link.parts()).missing()) is not None:
            if time.monotonic() >= settled:
                raise missing
            await asyncio.sleep(0.1)

    async def _check_conversation(self, request: RunRequest) -> None:
        """Turn a run down before anything is recorded; its first step asks again."""
        if request.conversation_id is None:
            return
        standing = await self._conversations.read(request.conversation_id)
        holder = await self._conversations.busy_with(standing, request.run_id)
        if holder is not None:
            raise ConversationBusy(request.conversation_id, holder=holder)

    async def _why_not_taken(self, busy: SidecarBusy) -> Unavailable:
        """Name the part that went away since it was asked; daprd itself only stays silent."""
        self._link.doubt()
        missing = (await self._link.parts()).missing()
        if missing is not None:
            return missing
        return Unavailable(
            f"the sidecar did not take the run ({busy.code}); it may still start", part="sidecar"
        )

    async def _over(self, memory: RunMemory, until: float) -> None:
        """Wait until a run's end is recorded, here or elsewhere."""
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

    async def _ended_here(self, memory: RunMemory, until: float) -> None:
        while not memory.is_over and not self._link.closed:
            left = until - time.monotonic()
            try:
                async with asyncio.timeout(None if math.isinf(left) else left):
                    await memory.news.wait()
            except TimeoutError:
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
                raise _failed(run_id, "terminated")
            case Progress.FAILED:
                self._telling.ended(memory, RunState.FAILED)
                raise _failed(run_id, failure or "its workflow failed")
            case _ if next(doubts) < DOUBTS:
                # It closed behind a run that is taken up again, or is not said to be started yet.
                await self._start(memory.begun, math.inf)
                await asyncio.sleep(RETRY_SECONDS)
            case _:
                raise _failed(run_id, "nothing is kept of it (was its state store emptied?)")

    async def _answer(self, memory: RunMemory) -> RunResult:
        ended, run_id = memory.ended, memory.begun.run_id
        if ended is None:
            raise RunTimeout(f"run {run_id} goes on", run_id=run_id)
        if ended.busy_with is not None:
            raise ConversationBusy(memory.begun.conversation_id or "", holder=ended.busy_with)
        if ended.state is RunState.FORGOTTEN:
            raise RunForgotten(run_id)
        if ended.state is not RunState.FINISHED or ended.stop_reason is None:
            raise _failed(run_id, ended.reason or ended.state.value)
        if len(memory.steps) < ended.steps:
            memory = await self._book.load(run_id) or memory
        records = tuple(memory.steps[number].record for number in sorted(memory.steps))
        return run_result(run_id, ended.text or "", ended.stop_reason, records)

    async def _found(self, run_id: str) -> RunMemory:
        memory = await self._book.find(run_id)
        if memory is None:
            raise RunUnknown(run_id)
        return memory

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
                again = await self._found(memory.begun.run_id)
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


def _agent_stopped(run_id: str) -> RunTimeout:
    message = f"the agent was stopped; run {run_id} goes on when it is started again"
    return RunTimeout(message, run_id=run_id)


def _failed(run_id: str, reason: str) -> RunFailed:
    return RunFailed(f"run {run_id} failed: {reason}", run_id=run_id, reason=reason)


def _not_taken(what: str, error: Exception) -> Unavailable:
    return Unavailable(f"the sidecar {what} ({error}); try again", part="sidecar")
