"""One model call on one effective config: what is asked, and what follows from the reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from retunable.agent.guardrails.check import Judged, Verdict, explain_to_model
from retunable.agent.guardrails.proposal import Answer, Proposal, ProposedCall
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
from retunable.agent.models.model import Message, ModelReply, ModelRequest
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
    """What judges a model's proposals before they count."""

    async def judge(self, config: AgentConfig, proposal: Proposal) -> Verdict:
        """Return what the checks of a config say about a proposal."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request, and the checksums of what is kept of it."""

    request: ModelRequest
    offered: tuple[str, ...]
    system_prompt_checksum: str
    tools_checksum: str
    contents: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a model call; ``reply`` is None where it did not work."""

    decision: Decision
    reply: ModelReply | None = None
    judged: tuple[Judged, ...] = ()


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
    ) -> Outcome:
        """Call the model and decide what follows; a call that does not work is a decision too."""
        config = effective.config
        try:
            reply = await self._providers.complete(config.provider, prepared.request)
        except ProviderRefused as refused:
            text = explain_refusal(refused, effective, snapshot)
            self._providers.note_refusal(text)
            return Outcome(Failed(text, "provider_refused"))
        except ProviderFailed as failed:
            reason = f"provider {config.provider!r} failed: {failed}"
            return Outcome(Failed(reason, "provider_failed"))
        self._providers.note_refusal(None)
        limit = config.max_iterations
        decision = decide(reply, step=step, max_iterations=limit, offered=prepared.offered)
        follows, judged = await self._guarded(decision, config, step)
        return Outcome(follows, reply, judged)

    async def may_be_given(self, config: AgentConfig, text: str) -> bool:
        """Tell whether a text that was not judged as an answer may become one."""
        return (await self._guard.judge(config, Answer(text))).passed

    async def _guarded(
        self, decision: Finished | CallTools, config: AgentConfig, step: int
    ) -> tuple[Finished | CallTools | Rejected, tuple[Judged, ...]]:
        if isinstance(decision, CallTools):
            return await self._guarded_calls(decision, config)
        answer = Answer(decision.text)
        verdict = await self._guard.judge(config, answer)
        judged = (Judged(verdict),)
        if verdict.passed:
            return decision, judged
        if step >= config.max_iterations:
            return stopped(config.max_iterations, ""), judged
        return Rejected(decision.text, explain_to_model(answer, verdict)), judged

    async def _guarded_calls(
        self, decision: CallTools, config: AgentConfig
    ) -> tuple[CallTools, tuple[Judged, ...]]:
        calls = list(decision.calls)
        judged: list[Judged] = []
        for index, plan in enumerate(decision.calls):
            if plan.refusal is not None:
                continue
            proposed = ProposedCall(plan.call.name, plan.call.arguments)
            verdict = await self._guard.judge(config, proposed)
            judged.append(Judged(verdict, index))
            if not verdict.passed:
                calls[index] = PlannedCall(plan.call, explain_to_model(proposed, verdict))
        return CallTools(decision.text, tuple(calls)), tuple(judged)
