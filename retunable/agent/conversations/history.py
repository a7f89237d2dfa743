"""What a run is told of the runs before it in its conversation: the latest that fit a budget."""

from __future__ import annotations

from collections.abc import Sequence

from retunable.agent.conversations.transcript import (
    estimated_tokens,
    messages_so_far,
    within_budget,
)
from retunable.agent.models.model import Message
from retunable.agent.runs.book import RunBook
from retunable.agent.runs.memory import RunMemory
from retunable.agent.runs.views import RunState


class History:
    """Reads back through a conversation until the budget is spent."""

    def __init__(self, book: RunBook, *, tokens: int) -> None:
        self._book = book
        self._tokens = tokens

    async def of(self, runs: Sequence[str]) -> tuple[Message, ...]:
        """Return the messages of the latest of these runs, which are in their order.

        Only finished runs count: a question that was never answered would be answered now.
        """
        recalled: list[tuple[Message, ...]] = []
        spent = 0
        for run_id in reversed(runs):
            if spent >= self._tokens:
                break
            messages = await self._messages(run_id)
            if messages:
                recalled.append(messages)
                spent += estimated_tokens(messages)
        return within_budget(recalled, tokens=self._tokens)

    async def _messages(self, run_id: str) -> tuple[Message, ...]:
        memory = self._book.remembered(run_id)
        if memory is None or memory.ended is None or not memory.knows_all_before(_after(memory)):
            memory = await self._book.load(run_id)
        if memory is None or memory.ended is None or memory.ended.state is not RunState.FINISHED:
            return ()
        steps = [memory.steps[number] for number in sorted(memory.steps)]
        said = messages_so_far(
            memory.begun.message or "", steps, memory.results, keep_rejected=False
        )
        return (*said, Message("assistant", memory.ended.text or ""))


def _after(memory: RunMemory) -> int:
    return (memory.ended.steps if memory.ended else 0) + 1
