"""The guardrails of one agent as the loop uses them: a text for the model, or none."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from retunable.agent.guardrails.check import Guardrail, explain_to_model
from retunable.agent.guardrails.judge import judge
from retunable.agent.guardrails.proposal import Answer, Proposal, ProposedCall
from retunable.agent.models.model import ToolCall
from retunable.agent.tools.threads import ToolThreads
from retunable.config.agent_config import AgentConfig

_log = logging.getLogger("retunable")


class Guardrails:
    """Judges what a model proposes with the checks that the config of the step names."""

    def __init__(self, registered: Mapping[str, Guardrail], *, threads: ToolThreads) -> None:
        self._registered = registered
        self._threads = threads

    async def check_answer(self, config: AgentConfig, text: str) -> str | None:
        """Return what the model is told about an answer that does not pass."""
        return await self._check(config, Answer(text))

    async def check_call(self, config: AgentConfig, call: ToolCall) -> str | None:
        """Return what the model is told about a tool call that does not pass."""
        return await self._check(config, ProposedCall(call.name, call.arguments))

    async def _check(self, config: AgentConfig, proposal: Proposal) -> str | None:
        verdict = await judge(config, proposal, registered=self._registered, threads=self._threads)
        if verdict.passed:
            return None
        _log.info("guardrails: %s", verdict.reasons)
        return explain_to_model(proposal, verdict)
