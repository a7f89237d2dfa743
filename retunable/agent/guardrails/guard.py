"""The guardrails of one agent as the loop uses them: a verdict on each thing that a model proposes."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from retunable.agent.guardrails.check import Guardrail, Verdict
from retunable.agent.guardrails.judge import judge
from retunable.agent.guardrails.proposal import Proposal
from retunable.agent.tools.threads import ToolThreads
from retunable.config.agent_config import AgentConfig

_log = logging.getLogger("retunable")


class Guardrails:
    """Judges what a model proposes with the checks that the config of the step names."""

    def __init__(self, registered: Mapping[str, Guardrail], *, threads: ToolThreads) -> None:
        self._registered = registered
        self._threads = threads

    async def judge(self, config: AgentConfig, proposal: Proposal) -> Verdict:
        """Return what the checks of a config say about a proposal; never raises on them."""
        verdict = await judge(config, proposal, registered=self._registered, threads=self._threads)
        if not verdict.passed:
            _log.info("guardrails: %s", verdict.reasons)
        return verdict
