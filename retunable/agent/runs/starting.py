"""How a run begins: what its id means, and whom a part that is away turns down."""

from __future__ import annotations

import asyncio
import time
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
from retunable.agent.runs.documents import Begun, RunRequest
from retunable.agent.runs.index import RunIndex
from retunable.agent.runs.memory import RunMemory
from retunable.agent.runs.views import RunState
from retunable.agent.sidecar_link import SidecarLink
from retunable.agent.state.store import TooLarge
from retunable.errors import (
    ConversationBusy,
    RunFailed,
    RunForgotten,
    RunIdConflict,
    Unavailable,
)

SETTLE_SECONDS: Final = 8.0
"""How long a run waits for a part that a sidecar connects just after its own start (1.5 s seen).

A worker that came back within milliseconds of the last one's leaving waits 2 s and more for daprd to
let go of its actors (in-flight lock claims).
"""


class Starting:
    """Starts the runs of one agent, and takes them up again, on one event loop."""

    def __init__(
        self,
        link: SidecarLink,
        workflows: WorkflowClient,
        *,
        book: RunBook,
        conversations: Conversations,
        index: RunIndex,
        replica: str,
    ) -> None:
        self._link = link
        self._workflows = workflows
        self._book = book
        self._conversations = conversations
        self._index = index
        self._replica = replica

    async def begin(self, request: RunRequest, until: float) -> RunMemory:
        """Start a run that nobody began, or join the one of its id; give up at ``until``.

        Raises: what ``DurableAgent.begin`` names.
        """
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
        await self.resume(begun, until)
        return memory

    async def resume(self, begun: Begun, until: float) -> None:
        """Start the workflow of a run that is recorded, unless it goes on."""
        data = first_input(agent=begun.agent, environment=begun.environment, run_id=begun.run_id)
        seconds = max(until - time.monotonic(), 0)
        try:
            if not await self._needs_start(begun.run_id):
                return
            await self._workflows.start(begun.run_id, data, seconds=seconds)
        except SidecarBusy as busy:
            raise await self._why_not_taken(busy) from busy
        except SidecarRefused as refused:
            raise RunFailed.of(begun.run_id, str(refused)) from refused

    async def _recorded(self, request: RunRequest) -> Begun:
        try:
            return await self._book.begin(request, begun_at=timestamp(), replica=self._replica)
        except TooLarge as error:
            reason = "its message is larger than the state store takes (4 MiB)"
            raise RunFailed.of(request.run_id, reason) from error

    async def _joined(self, request: RunRequest, begun: Begun) -> RunMemory:
        """Return the run of this id, which somebody began before or at the same moment."""
        memory = await self._book.found(request.run_id)
        if memory.ended is not None and memory.ended.state is RunState.FORGOTTEN:
            raise RunForgotten(request.run_id)
        if begun.input_hash != request.input_hash:
            raise RunIdConflict(request.run_id)
        if memory.ended is not None and memory.ended.busy_with is not None:
            await self._book.reopen(memory)
            return await self._book.found(request.run_id)
        return memory

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
