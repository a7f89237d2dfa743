"""What a model is told: the messages of a run, and what is left of the runs before it. Pure.

Tokens are estimated from characters: no tokenizer fits every model, and the budget is a bound on
cost, not on correctness.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from retunable.agent.loop.decision import CallTools, Rejected
from retunable.agent.models.model import Message
from retunable.agent.runs.documents import Step, ToolResult

CHARACTERS_PER_TOKEN: Final = 4
TOKENS_PER_MESSAGE: Final = 4

Results = Mapping[tuple[int, int], ToolResult]
"""Tool results by step and index."""


def messages_so_far(
    message: str, steps: Iterable[Step], results: Results, *, keep_rejected: bool = True
) -> tuple[Message, ...]:
    """Return the user's message and what came of it, up to the steps given.

    Raises:
        KeyError: a result that a step asked for is not there.
    """
    said = [Message("user", message)]
    for step in steps:
        match step.decision:
            case CallTools():
                said += _exchange(step.record.step, step.decision, results)
            case Rejected(text, notice) if keep_rejected:
                said += [Message("assistant", text), Message("user", notice)]
    return tuple(said)


def last_text(messages: Sequence[Message]) -> str:
    """Return what the model last said."""
    said = [message.text for message in messages if message.role == "assistant"]
    return next((text for text in reversed(said) if text), "")


def estimated_tokens(messages: Iterable[Message]) -> int:
    """Estimate the tokens of messages; never less than one for each character run of four."""
    return sum(TOKENS_PER_MESSAGE + -(-_length(m) // CHARACTERS_PER_TOKEN) for m in messages)


def within_budget(runs: Iterable[tuple[Message, ...]], *, tokens: int) -> tuple[Message, ...]:
    """Return the latest messages that fit; ``runs`` come latest first.

    A run that does not fit whole loses its oldest exchanges: a tool call is never parted from
    its result, and what is left begins with something that a person said.
    """
    kept: list[tuple[Message, ...]] = []
    left = tokens
    for run in runs:
        cost = estimated_tokens(run)
        if cost > left:
            kept.append(_end_of(run, left))
            break
        kept.append(run)
        left -= cost
    return tuple(message for run in reversed(kept) for message in run)


def _exchange(number: int, decision: CallTools, results: Results) -> list[Message]:
    calls = tuple(plan.call for plan in decision.calls)
    said = [Message("assistant", decision.text, calls)]
    for index, plan in enumerate(decision.calls):
        text = results[number, index].text if plan.refusal is None else plan.refusal
        said.append(Message("tool", text or "", call_id=plan.call.id))
    return said


def _end_of(run: tuple[Message, ...], tokens: int) -> tuple[Message, ...]:
    """Keep the question and the answer of a run, without the tools between, where those fit."""
    asked, answered = run[0], run[-1]
    if len(run) > 2 and asked.role == "user" and answered.role == "assistant":
        bare = (asked, answered)
        return bare if estimated_tokens(bare) <= tokens else ()
    return ()


def _length(message: Message) -> int:
    calls = sum(len(call.name) + len(call.arguments) for call in message.calls)
    return len(message.text) + calls
