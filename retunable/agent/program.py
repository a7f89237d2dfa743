"""What a program declared about an agent; nothing of it changes while the agent runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retunable.agent.guardrails.check import Guardrail
from retunable.agent.models.model import ModelProvider
from retunable.agent.models.prices import Prices
from retunable.agent.models.secrets import KeySource
from retunable.agent.retry import RetryPolicy
from retunable.agent.tools.tool import Tool
from retunable.config.declaration import Declaration
from retunable.events.spool import spool_name
from retunable.live.subscription import ConfigSubscription


@dataclass(frozen=True, kw_only=True)
class Program:
    """One agent as its code declares it; ``DurableAgent`` says what each part means."""

    declaration: Declaration
    subscription: ConfigSubscription | None
    tools: Mapping[str, Tool[..., Any]]
    providers: Mapping[str, ModelProvider]
    persona_log_seconds: float | None
    history_tokens: int
    guardrails: Mapping[str, Guardrail]
    model_retries: RetryPolicy | None
    heartbeat_seconds: float | None
    user_key: KeySource | None = None
    prices: Prices | None = None

    @property
    def events_file(self) -> Path | None:
        """Where events wait: beside the last good configuration; None for in memory."""
        if self.subscription is None or self.subscription.last_good_dir is None:
            return None
        name = spool_name(self.declaration.agent, self.declaration.environment)
        return Path(self.subscription.last_good_dir) / name
