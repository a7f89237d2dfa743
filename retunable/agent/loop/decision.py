"""What follows from a model's reply: the pure rules of the durable loop.

Everything here depends on the configuration and is therefore decided inside an activity and
recorded with the step; the workflow only learns what to call next, so any change at any moment
replays.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, assert_never

from retunable.agent.models.model import ModelReply, ToolCall
from retunable.config.agent_config import AgentConfig

StopReason = Literal["answer", "max_iterations", "max_tokens", "content_filter"]
ErrorKind = Literal["provider_refused", "provider_failed", "reply_too_large", "other"]


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over with a text."""

    text: str
    stop_reason: StopReason


@dataclass(frozen=True, slots=True)
class Failed:
    """The run is over without an answer; ``kind`` is a stable word, and no text of anybody's."""

    reason: str
    kind: ErrorKind = "other"


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One tool call to run, or one that is answered with its refusal instead."""

    call: ToolCall
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class CallTools:
    """The model asked for tools; the loop goes on after them."""

    text: str
    calls: tuple[PlannedCall, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A guardrail did not pass the answer; the model is told ``notice`` and asked again."""

    text: str
    notice: str


Decision = Finished | Failed | CallTools | Rejected


def decide(
    reply: ModelReply, *, step: int, max_iterations: int, offered: Collection[str]
) -> Finished | CallTools:
    """Decide what a reply to step ``step`` leads to.

    At the limit no tool runs any more, for no model call would see its result.
    """
    if reply.calls:
        if step >= max_iterations:
            return stopped(max_iterations, reply.text)
        return CallTools(reply.text, tuple(_plan(call, offered) for call in reply.calls))
    match reply.finish:
        case "stop":
            return Finished(reply.text, "answer")
        case "length":
            return Finished(reply.text, "max_tokens")
        case "filtered":
            return Finished(reply.text, "content_filter")
        case _ as unreachable:
            assert_never(unreachable)


def offered_tools(config: AgentConfig, registered: Collection[str]) -> tuple[str, ...]:
    """Return the names of the tools that a config offers, in the order of their registration."""
    return tuple(name for name in registered if config.tools is None or name in config.tools)


def tool_choice_at(config: AgentConfig, step: int) -> str | None:
    """Return the tool choice of one step.

    A forced choice holds for the first step only: forced at each one, the model could never
    answer and every run would end at its limit.
    """
    if step > 1 and config.tool_choice not in (None, "auto", "none"):
        return "auto"
    return config.tool_choice


def stopped(max_iterations: int, last_text: str) -> Finished:
    """Return the end of a run that met its limit."""
    plural = "" if max_iterations == 1 else "s"
    sentence = (
        f"I stopped after the limit of {max_iterations} model call{plural}, without an answer."
    )
    return Finished(last_text or sentence, "max_iterations")


def _plan(call: ToolCall, offered: Collection[str]) -> PlannedCall:
    if call.name in offered:
        return PlannedCall(call)
    names = ", ".join(offered) or "none"
    return PlannedCall(call, f"There is no tool {call.name!r} here; the tools are: {names}.")
