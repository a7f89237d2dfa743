"""Conversations: the order of their runs, which run holds one, and the config that it is pinned to.

One document each. The last run in it holds the conversation, for as long as its workflow goes
on; nobody has to let go. Taken with a single-key write that names what it replaces.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from retunable.agent.state.keys import StateKeys
from retunable.agent.state.store import StateStore

FORM: Final = 1
RUNS_PER_PAGE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation as it stands; ``runs`` are the latest, ``pages`` counts those set apart."""

    id: str
    runs: tuple[str, ...] = ()
    pages: int = 0
    pinned: Mapping[str, Any] | None = None
    etag: str | None = None

    @property
    def holder(self) -> str | None:
        """The run that holds it, if that goes on."""
        return self.runs[-1] if self.runs else None

    def before(self, run_id: str) -> tuple[str, ...]:
        """Return the latest runs before this one."""
        return self.runs[: self.runs.index(run_id)] if run_id in self.runs else self.runs

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        rest = {"runs": list(self.runs), "pages": self.pages, "pinned": self.pinned}
        return {"v": FORM, **rest}


class Conversations:
    """Reads and takes the conversations of one agent."""

    def __init__(
        self, store: StateStore, keys: StateKeys, *, goes_on: Callable[[str], Awaitable[bool]]
    ) -> None:
        """``goes_on`` tells of a run id whether its run is not over."""
        self._store = store
        self._keys = keys
        self._goes_on = goes_on

    async def read(self, conversation_id: str) -> Conversation:
        """Return a conversation as it stands; an empty one where there is none."""
        key = self._keys.conversation(conversation_id)
        stands = (await self._store.get_many([key])).get(key)
        if stands is None:
            return Conversation(id=conversation_id)
        value = stands.value
        return Conversation(
            id=conversation_id,
            runs=tuple(value["runs"]),
            pages=value["pages"],
            pinned=value["pinned"],
            etag=stands.etag,
        )

    async def busy_with(self, conversation: Conversation, run_id: str) -> str | None:
        """Return the run that keeps this one out; None where it may enter, or is in."""
        holder = conversation.holder
        if holder is None or holder == run_id or not await self._goes_on(holder):
            return None
        return holder

    async def enter(
        self, conversation: Conversation, run_id: str, *, pinned: Mapping[str, Any] | None
    ) -> bool:
        """Make a run the holder of a conversation that stands as given; False if it does not."""
        if conversation.holder == run_id and conversation.pinned == pinned:
            return True
        runs = tuple(run for run in conversation.runs if run != run_id)
        if len(runs) >= 2 * RUNS_PER_PAGE:
            runs, conversation = await self._set_apart(conversation, runs)
        entered = replace(conversation, runs=(*runs, run_id), pinned=pinned)
        return await self._write(entered)

    async def all_runs(self, conversation: Conversation) -> tuple[str, ...]:
        """Return every run of a conversation, in order."""
        keys = [self._keys.conversation_page(conversation.id, n) for n in range(conversation.pages)]
        found = await self._store.get_many(keys)
        earlier = [run for key in keys if key in found for run in found[key].value["runs"]]
        return (*earlier, *conversation.runs)

    async def empty(self, conversation: Conversation) -> bool:
        """Let a conversation begin anew, its pin forgotten; False if it does not stand as given."""
        return conversation.etag is None or await self._write(
            replace(conversation, runs=(), pages=0, pinned=None)
        )

    async def _set_apart(
        self, conversation: Conversation, runs: tuple[str, ...]
    ) -> tuple[tuple[str, ...], Conversation]:
        """Move the earliest runs to a page of their own; a page not referred to is written over."""
        page = {"v": FORM, "runs": list(runs[:RUNS_PER_PAGE])}
        key = self._keys.conversation_page(conversation.id, conversation.pages)
        await self._store.put({key: page})
        return runs[RUNS_PER_PAGE:], replace(conversation, pages=conversation.pages + 1)

    async def _write(self, conversation: Conversation) -> bool:
        key, value = self._keys.conversation(conversation.id), conversation.to_json()
        if conversation.etag is None:
            return (await self._store.insert(key, value)).won
        return await self._store.save(key, value, etag=conversation.etag)
