"""The documents of runs: read from memory where this process wrote them, else from the store.

Each document is written once; what stands wins over what somebody else found out later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from retunable.agent.runs.documents import (
    Begun,
    Ended,
    RunRequest,
    Step,
    ToolResult,
    is_forgotten,
)
from retunable.agent.runs.memory import RunMemories, RunMemory
from retunable.agent.runs.status import tokens_of
from retunable.agent.runs.views import RunState
from retunable.agent.state.keys import StateKeys
from retunable.agent.state.store import StateStore
from retunable.errors import RunForgotten, RunUnknown

READ_AHEAD: Final = 16
"""Steps asked for at once while it is not known how many a run has."""


Document = dict[str, Any]


class RunBook:
    """Reads and writes the documents of one agent's runs."""

    def __init__(
        self,
        store: StateStore,
        keys: StateKeys,
        *,
        over: Callable[[RunMemory], None] | None = None,
    ) -> None:
        """``over`` is told of each run whose end is recorded here."""
        self._store = store
        self._keys = keys
        self._over = over
        self._memories = RunMemories()

    async def begin(self, request: RunRequest, *, begun_at: str, replica: str) -> Begun:
        """Record what a run is asked, unless it was asked before; return what stands."""
        begun = Begun.of(request, begun_at=begun_at, replica=replica)
        inserted = await self._store.insert(self._keys.run(request.run_id), begun.to_json())
        if not inserted.won:
            return Begun.from_json(inserted.value)
        self._memories.add(RunMemory(begun, untouched=request.own_id))
        return begun

    async def at_step(self, run_id: str, step: int) -> RunMemory | None:
        """Return a run with all that stands up to this step, itself included; None if unknown.

        What comes before is read only where this process did not see it. The step itself is always
        asked for, the first one of a run that was begun here too: another replica may have been
        given it before, have recorded it and died. The end is not: whoever records that elsewhere
        ends the workflow too.
        """
        memory = self._memories.get(run_id)
        if memory is None or not memory.knows_all_before(step):
            return await self.load(run_id)
        memory.untouched = False
        await self._read_step(memory, step)
        return memory

    async def with_call(self, run_id: str, step: int, index: int) -> RunMemory | None:
        """Return a run with one step, and the result of one of its calls if that stands."""
        memory = self._memories.get(run_id)
        if memory is None or step not in memory.steps:
            memory = await self.load(run_id)
        if memory is not None and (step, index) not in memory.results:
            await self._read_results(memory, [(step, index)])
        return memory

    async def load(self, run_id: str) -> RunMemory | None:
        """Read everything that stands of a run."""
        key = self._keys.run(run_id)
        found = await self._store.get_many([key])
        if key not in found:
            return None
        memory = self._memories.get(run_id)
        if memory is None or is_forgotten(found[key].value):
            memory = self._memories.add(RunMemory(Begun.from_json(found[key].value)))
        await self._read_all_steps(memory)
        await self._read_results(
            memory,
            [(n, i) for n, step in memory.steps.items() for i in step.runnable],
        )
        return memory

    async def find(self, run_id: str) -> RunMemory | None:
        """Return a run of which at least what it was asked and how it ended is known."""
        memory = self._memories.get(run_id)
        if memory is not None and memory.ended is not None:
            return memory
        run, end = self._keys.run(run_id), self._keys.end(run_id)
        found = await self._store.get_many([run, end])
        if run not in found:
            return None
        if memory is None:
            memory = self._memories.add(RunMemory(Begun.from_json(found[run].value)))
        if end in found:
            memory.ended = Ended.from_json(found[end].value)
        return memory

    async def found(self, run_id: str) -> RunMemory:
        """Return the same of a run that must be kept.

        Raises:
            RunUnknown: it is not.
        """
        memory = await self.find(run_id)
        if memory is None:
            raise RunUnknown(run_id)
        return memory

    def remembered(self, run_id: str) -> RunMemory | None:
        """Return what this process knows of a run without asking anybody."""
        return self._memories.get(run_id)

    async def record_step(self, memory: RunMemory, step: Step) -> Step:
        """Record a model call; return what stands.

        Raises:
            RunForgotten: the run was forgotten meanwhile.
        """
        run_id, number = memory.begun.run_id, step.record.step
        inserted = await self._store.insert(self._keys.step(run_id, number), step.to_json())
        stands = step if inserted.won else Step.from_json(_not_taken(inserted.value, run_id))
        memory.steps[number] = stands
        memory.tell()
        return stands

    async def record_result(
        self, memory: RunMemory, step: int, index: int, result: ToolResult
    ) -> ToolResult:
        """Record a tool call; return what stands.

        Raises:
            RunForgotten: the run was forgotten meanwhile.
        """
        run_id = memory.begun.run_id
        inserted = await self._store.insert(self._keys.call(run_id, step, index), result.to_json())
        stands = (
            result if inserted.won else ToolResult.from_json(_not_taken(inserted.value, run_id))
        )
        memory.results[step, index] = stands
        memory.tell()
        return stands

    async def end(self, memory: RunMemory, ended: Ended) -> Ended:
        """Record how a run ended; return what stands."""
        key = self._keys.end(memory.begun.run_id)
        inserted = await self._store.insert(key, ended.to_json())
        memory.ended = ended if inserted.won else Ended.from_json(inserted.value)
        memory.tell()
        if self._over is not None:
            self._over(memory)
        return memory.ended

    async def reopen(self, memory: RunMemory) -> None:
        """Take the end of a run away that never began, for its conversation was busy."""
        await self._store.delete([self._keys.end(memory.begun.run_id)])
        self._memories.drop(memory.begun.run_id)

    async def erase(self, run_id: str, *, ended_at: str) -> None:
        """Take the content out of every document of a run; what comes late finds its place taken.

        Raises:
            Unavailable: the state store is away; some of it may be erased.
        """
        awaited = self._memories.get(run_id)
        memory = await self.load(run_id)
        if memory is None:
            return
        steps = sorted(memory.steps)
        await self._erase(self._keys.run(run_id))
        await self._erase(self._keys.ratings(run_id))
        for number in (*steps, len(steps) + 1):
            await self._erase(self._keys.step(run_id, number))
        calls = [(n, i) for n in steps for i in memory.steps[n].runnable]
        for number, index in calls:
            await self._erase(self._keys.call(run_id, number, index))
        await self._erase(
            self._keys.end(run_id),
            change=lambda end: _forgotten_end(end, memory, ended_at),
        )
        self._memories.drop(run_id)
        if awaited is not None:
            awaited.ended = Ended.from_json(_forgotten_end(None, memory, ended_at))
            awaited.tell()

    async def _erase(
        self, key: str, change: Callable[[Document | None], Document] | None = None
    ) -> None:
        while True:
            stands = (await self._store.get_many([key])).get(key)
            value = (change or _without_content)(stands.value if stands else None)
            if stands is None:
                if (await self._store.insert(key, value)).won:
                    return
            elif await self._store.save(key, value, etag=stands.etag):
                return

    async def _read_step(self, memory: RunMemory, number: int) -> None:
        if number in memory.steps:
            return
        key = self._keys.step(memory.begun.run_id, number)
        stands = (await self._store.get_many([key])).get(key)
        if stands is not None:
            memory.steps[number] = Step.from_json(_not_taken(stands.value, memory.begun.run_id))

    async def _read_all_steps(self, memory: RunMemory) -> None:
        first = 1
        while True:
            await self._read_steps(memory, range(first, first + READ_AHEAD))
            if first + READ_AHEAD - 1 not in memory.steps:
                return
            first += READ_AHEAD

    async def _read_steps(self, memory: RunMemory, numbers: Iterable[int]) -> None:
        """Read steps that are not here, and the run's end with them."""
        run_id = memory.begun.run_id
        keys = {self._keys.step(run_id, n): n for n in numbers if n not in memory.steps}
        end = self._keys.end(run_id)
        found = await self._store.get_many([*keys, end])
        for key, number in keys.items():
            if key in found and "record" in found[key].value:
                memory.steps[number] = Step.from_json(found[key].value)
        if end in found:
            memory.ended = Ended.from_json(found[end].value)

    async def _read_results(self, memory: RunMemory, wanted: Iterable[tuple[int, int]]) -> None:
        run_id = memory.begun.run_id
        keys = {self._keys.call(run_id, n, i): (n, i) for n, i in wanted}
        keys = {key: place for key, place in keys.items() if place not in memory.results}
        if not keys:
            return
        found = await self._store.get_many(list(keys))
        for key, place in keys.items():
            if key in found and "record" in found[key].value:
                memory.results[place] = ToolResult.from_json(found[key].value)


def _not_taken(value: Document, run_id: str) -> Document:
    """Return a document that stands; raise where ``erase`` only kept its place."""
    if "record" not in value:
        raise RunForgotten(run_id)
    return value


def _without_content(value: Document | None) -> Document:
    """Return a document without its content, or one that keeps a place taken."""
    return {"v": 1, "forgotten": True} if value is None else {**value, "content": None}


def _forgotten_end(value: Document | None, memory: RunMemory, ended_at: str) -> Document:
    if value is None:
        value = Ended(
            state=RunState.FORGOTTEN,
            ended_at=ended_at,
            steps=len(memory.steps),
            tokens=tokens_of(memory),
        ).to_json()
    record = {**value["record"], "state": RunState.FORGOTTEN.value}
    return {**value, "record": record, "content": None}
