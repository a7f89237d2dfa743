"""One model call on one effective config: what is asked, and what follows from the reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from retunable.agent.loop.decision import (
    CallTools,
    Decision,
    Failed,
    Finished,
    PlannedCall,
    Rejected,
    decide,
    offered_tools,
    stopped,
    tool_choice_at,
)
from retunable.agent.models.model import Message, ModelReply, ModelRequest, ToolCall
from retunable.agent.models.persona import compose_system_prompt
from retunable.agent.models.provider_set import ProviderSet
from retunable.agent.models.refusal import explain_refusal
from retunable.agent.state.contents import ToolSchemas
from retunable.agent.tools.tool import Tool
from retunable.config.agent_config import AgentConfig
from retunable.config.checksum import checksum
from retunable.config.resolve import Effective
from retunable.config.snapshot import Snapshot
from retunable.errors import ProviderFailed, ProviderRefused


class Guard(Protocol):
    """What judges a model's proposals before they count; a text says what is wrong with one."""

    async def check_answer(self, config: AgentConfig, text: str) -> str | None:
        """Return what the model is told about an answer that does not pass."""

    async def check_call(self, config: AgentConfig, call: ToolCall) -> str | None:
        """Return what the model is told about a tool call that does not pass."""


class PassAll:
    """A ``Guard`` that passes everything."""

    async def check_answer(self, config: AgentConfig, text: str) -> str | None:
        """Pass."""
        del config, text
        return None

    async def check_call(self, config: AgentConfig, call: ToolCall) -> str | None:
        """Pass."""
        del config, call
        return None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request, and the checksums of what is kept of it."""

    request: ModelRequest
    offered: tuple[str, ...]
    system_prompt_checksum: str
    tools_checksum: str
    contents: Mapping[str, Any]


class ModelCalls:
    """Makes the model calls of one agent."""

    def __init__(
        self, providers: ProviderSet, tools: Mapping[str, Tool[..., Any]], guard: Guard
    ) -> None:
        self._providers = providers
        self._tools = tools
        self._guard = guard
        self._schemas = ToolSchemas()

    def prepare(self, effective: Effective, messages: Sequence[Message], *, step: int) -> Prepared:
        """Return what a model is asked on an effective config."""
        config = effective.config
        offered = offered_tools(config, self._tools)
        specs = tuple(self._tools[name].spec for name in offered)
        prompt = compose_system_prompt(config)
        prompt_checksum = checksum(prompt)
        tools_checksum, schemas = self._schemas.of(specs)
        return Prepared(
            request=ModelRequest(
                model=config.model or "",
                system_prompt=prompt,
                messages=tuple(messages),
                tools=specs,
                tool_choice=tool_choice_at(config, step),
                temperature=config.temperature,
                max_tokens=config.max_tokens,
            ),
            offered=offered,
            system_prompt_checksum=prompt_checksum,
            tools_checksum=tools_checksum,
            contents={
                effective.checksum: config.to_json(),
                prompt_checksum: prompt,
                tools_checksum: schemas,
            },
        )

    async def ask(
        self, prepared: Prepared, effective: Effective, snapshot: Snapshot, *, step: int
    ) -> tuple[Decision, ModelReply | None]:
        """Call the model and decide what follows; a call that does not work is a decision too."""
        config = effective.config
        try:
            reply = await self._providers.complete(config.provider, prepared.request)
        except ProviderRefused as refused:
            text = explain_refusal(refused, effective, snapshot)
            self._providers.note_refusal(text)
            return Failed(text), None
        except ProviderFailed as failed:
            return Failed(f"provider {config.provider!r} failed: {failed}"), None
        self._providers.note_refusal(None)
        limit = config.max_iterations
        decision = decide(reply, step=step, max_iterations=limit, offered=prepared.offered)
        return await self._guarded(decision, config, step), reply

    async def _guarded(
        self, decision: Finished | CallTools, config: AgentConfig, step: int
    ) -> Decision:
        if isinstance(decision, CallTools):
            calls = [await self._guarded_call(plan, config) for plan in decision.calls]
            return CallTools(decision.text, tuple(calls))
        notice = await self._guard.check_answer(config, decision.text)
        if notice is None:
            return decision
        if step >= config.max_iterations:
            return stopped(config.max_iterations, "")
        return Rejected(decision.text, notice)

    async def _guarded_call(self, plan: PlannedCall, config: AgentConfig) -> PlannedCall:
        if plan.refusal is not None:
            return plan
        return PlannedCall(plan.call, await self._guard.check_call(config, plan.call))
