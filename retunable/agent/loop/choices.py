"""The config that a step runs on, chosen where the run holds its conversation.

What ``pinning`` decides, with what it needs fetched: the snapshot resolved for the caller, the
config that the run or its conversation is pinned to, and what was said before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from retunable.agent.conversations.conversations import Conversation, Conversations
from retunable.agent.conversations.history import History
from retunable.agent.loop.patience import patiently
from retunable.agent.loop.pinning import Chosen, choose, effective_from, reference_to
from retunable.agent.runs.documents import Begun
from retunable.agent.runs.exposed import exposed
from retunable.agent.runs.memory import RunMemory
from retunable.agent.state.contents import Contents
from retunable.agent.users import Users
from retunable.config.constraints import Constraints
from retunable.config.resolve import Effective, resolve
from retunable.config.snapshot import Snapshot


class SnapshotSource(Protocol):
    """Where a step gets the configuration of now from."""

    async def snapshot(self) -> Snapshot:
        """Return the snapshot of now; wait where nothing was ever read."""

    @property
    def current(self) -> bool:
        """Whether this replica follows the store now, so that its snapshot may replace another."""


class Busy(Exception):
    """Another run holds the conversation."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class Choices:
    """Chooses for the steps of one agent's runs."""

    def __init__(
        self,
        source: SnapshotSource,
        *,
        constraints: Constraints,
        contents: Contents,
        conversations: Conversations,
        history: History,
        users: Users,
        tool_code: Callable[[], str],
    ) -> None:
        self._source = source
        self._constraints = constraints
        self._contents = contents
        self._conversations = conversations
        self._history = history
        self._users = users
        self._tool_code = tool_code

    async def of_step(self, memory: RunMemory, number: int, snapshot: Snapshot) -> Chosen:
        """Choose for a step; the first one enters its run's conversation.

        Raises:
            Busy: another run holds it.
        """
        conversation_id = memory.begun.conversation_id
        previous = memory.steps[number - 1].record.reference if number > 1 else None
        if conversation_id is None:
            return await self._choose(memory.begun, previous, snapshot)
        if number > 1:
            if memory.history is None:
                standing = await patiently(self._conversations.read, conversation_id)
                await self._recall(memory, standing)
            chosen = await self._choose(memory.begun, previous, snapshot)
            if chosen.unpinned is not None and memory.begun.pin == "conversation":
                await self._enter(memory, conversation_id, snapshot, chosen=chosen)
            return chosen
        return await self._enter(memory, conversation_id, snapshot)

    async def _enter(
        self,
        memory: RunMemory,
        conversation_id: str,
        snapshot: Snapshot,
        *,
        chosen: Chosen | None = None,
    ) -> Chosen:
        """Hold the conversation with the config that it is pinned to from now on.

        Raises:
            Busy: another run holds it.
        """
        conversations, run_id = self._conversations, memory.begun.run_id
        pins = memory.begun.pin == "conversation"
        while True:
            standing = await patiently(conversations.read, conversation_id)
            holder = await patiently(conversations.busy_with, standing, run_id)
            if holder is not None:
                raise Busy(holder)
            pinned = standing.pinned if pins else None
            now = chosen or await self._choose(memory.begun, pinned, snapshot)
            await self._recall(memory, standing)
            if pins:
                config = now.effective.config.to_json()
                await patiently(self._contents.put, {now.effective.checksum: config})
            pin = reference_to(now.effective) if pins else standing.pinned
            if await patiently(conversations.enter, standing, run_id, pinned=pin):
                return now

    async def _recall(self, memory: RunMemory, standing: Conversation) -> None:
        if memory.history is None:
            earlier = standing.before(memory.begun.run_id)
            memory.history = await patiently(self._history.of, earlier)

    async def _choose(
        self, begun: Begun, reference: Mapping[str, Any] | None, snapshot: Snapshot
    ) -> Chosen:
        resolution = resolve(
            snapshot,
            user_id=begun.user_id,
            conversation_id=begun.conversation_id,
            attributes=begun.attributes,
            now=time.time(),
            list_key=self._users.list_key,
        )
        fresh = resolution.effective
        chosen = choose(
            begun.pin,
            previous=await self._pinned(reference, fresh),
            fresh=fresh,
            current=self._source.current,
            constraints=self._constraints,
            revoked=snapshot.revoked,
        )
        where = exposed(
            resolution.assignment, snapshot.rollout, pin=reference, tool_code=self._tool_code
        )
        return replace(chosen, exposed=where)

    async def _pinned(
        self, reference: Mapping[str, Any] | None, fresh: Effective
    ) -> Effective | str | None:
        if reference is None:
            return None
        checksum = reference["checksum"]
        if checksum == fresh.checksum:
            return replace(fresh, **_lists_to_tuples(reference))
        found = await patiently(self._contents.get_many, [checksum])
        return effective_from(reference, found.get(checksum))


def _lists_to_tuples(reference: Mapping[str, Any]) -> dict[str, Any]:
    lists = {name: tuple(reference[name]) for name in ("override_keys", "flags")}
    return {"rollout": None, "rollout_stage": None} | dict(reference) | lists
