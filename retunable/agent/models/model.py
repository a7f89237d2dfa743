"""The seam between the durable loop and a model: what is asked, what comes back, what goes wrong.

A provider turns a ``ModelRequest`` into a ``ModelReply``. It says with ``ProviderRefused`` that
a setting must change, and with ``ProviderFailed`` that this call did not work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Finish = Literal["stop", "length", "filtered"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that a model asked for; ``arguments`` is JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a transcript; ``calls`` only from the assistant, ``call_id`` only of a tool."""

    role: Literal["user", "assistant", "tool"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the form that workflow histories keep."""
        calls = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in self.calls]
        optional = {"calls": calls, "call_id": self.call_id}
        return {"role": self.role, "text": self.text} | {k: v for k, v in optional.items() if v}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Message:
        """Read ``to_json``'s form."""
        calls = tuple(ToolCall(**call) for call in data.get("calls", ()))
        return cls(data["role"], data["text"], calls, data.get("call_id", ""))


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told about one tool; ``parameters`` is a JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One model call, complete. ``tool_choice`` is auto, none, required or a tool's name."""

    model: str
    system_prompt: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """What a model answered; ``model`` is the name that the provider returned."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    input_tokens: int = 0
    output_tokens: int = 0
    model: str | None = None


class ModelProvider(Protocol):
    """Whatever serves models under one provider name; used on the agent's event loop only."""

    async def open(self) -> None:
        """Get ready; agents that share a provider each open it.

        Raises:
            ConfigurationError: a key is missing; the message names the variable or secret.
        """

    def warm_up(self) -> None:
        """Do slow imports; called once from a background thread after the agent is ready."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Call the model.

        Raises:
            ProviderRefused: the key, the model or the request is not accepted.
            ProviderFailed: the call did not work; ``transient`` where another try may, which
                is then made by the agent: a provider itself makes none.
        """

    async def close(self) -> None:
        """Undo one ``open``."""
