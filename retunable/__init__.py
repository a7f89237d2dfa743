"""Retunable: a durable LLM agent on Dapr whose behaviour is live data in a configuration store.

Names are imported when first used, so that a program pays only for the rooms that it enters.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from retunable.agent.durable_agent import DurableAgent
    from retunable.agent.guardrails.function import guardrail
    from retunable.agent.guardrails.proposal import Answer, ProposedCall
    from retunable.agent.models.model import (
        Message,
        ModelProvider,
        ModelReply,
        ModelRequest,
        ToolCall,
        ToolSpec,
    )
    from retunable.agent.models.offline_provider import OfflineProvider
    from retunable.agent.models.openai_provider import OpenAIProvider
    from retunable.agent.models.prices import Prices, TokenPrice
    from retunable.agent.models.secrets import Env, Secret
    from retunable.agent.retry import RetryPolicy
    from retunable.agent.runs.records import RunResult, StepRecord
    from retunable.agent.runs.views import (
        ExplainedCall,
        ExplainedStep,
        Explanation,
        RunState,
        RunStatus,
    )
    from retunable.agent.status import AgentStatus
    from retunable.agent.tools.arguments import CallId
    from retunable.agent.tools.tool import tool
    from retunable.config.agent_config import AgentConfig
    from retunable.config.constraints import Constraints
    from retunable.config.snapshot import Snapshot
    from retunable.errors import (
        ConfigurationError,
        ConversationBusy,
        NotReady,
        ProviderFailed,
        ProviderRefused,
        RetunableError,
        RunFailed,
        RunForgotten,
        RunIdConflict,
        RunTimeout,
        RunUnknown,
        StoreWriteError,
        Unavailable,
    )
    from retunable.live.health import Reason, Status
    from retunable.live.stream_health import StreamState
    from retunable.live.subscription import ConfigSubscription, Timings
    from retunable.serve.foreground import run_forever

    __version__: str

_HOMES: Final = {
    "AgentConfig": "retunable.config.agent_config",
    "AgentStatus": "retunable.agent.status",
    "Answer": "retunable.agent.guardrails.proposal",
    "CallId": "retunable.agent.tools.arguments",
    "ConfigSubscription": "retunable.live.subscription",
    "ConfigurationError": "retunable.errors",
    "Constraints": "retunable.config.constraints",
    "ConversationBusy": "retunable.errors",
    "DurableAgent": "retunable.agent.durable_agent",
    "Env": "retunable.agent.models.secrets",
    "ExplainedCall": "retunable.agent.runs.views",
    "ExplainedStep": "retunable.agent.runs.views",
    "Explanation": "retunable.agent.runs.views",
    "Message": "retunable.agent.models.model",
    "ModelProvider": "retunable.agent.models.model",
    "ModelReply": "retunable.agent.models.model",
    "ModelRequest": "retunable.agent.models.model",
    "NotReady": "retunable.errors",
    "OfflineProvider": "retunable.agent.models.offline_provider",
    "OpenAIProvider": "retunable.agent.models.openai_provider",
    "Prices": "retunable.agent.models.prices",
    "ProposedCall": "retunable.agent.guardrails.proposal",
    "ProviderFailed": "retunable.errors",
    "ProviderRefused": "retunable.errors",
    "Reason": "retunable.live.health",
    "RetryPolicy": "retunable.agent.retry",
    "RetunableError": "retunable.errors",
    "RunFailed": "retunable.errors",
    "RunForgotten": "retunable.errors",
    "RunIdConflict": "retunable.errors",
    "RunResult": "retunable.agent.runs.records",
    "RunState": "retunable.agent.runs.views",
    "RunStatus": "retunable.agent.runs.views",
    "RunTimeout": "retunable.errors",
    "RunUnknown": "retunable.errors",
    "Secret": "retunable.agent.models.secrets",
    "Snapshot": "retunable.config.snapshot",
    "Status": "retunable.live.health",
    "StepRecord": "retunable.agent.runs.records",
    "StoreWriteError": "retunable.errors",
    "StreamState": "retunable.live.stream_health",
    "Timings": "retunable.live.subscription",
    "TokenPrice": "retunable.agent.models.prices",
    "ToolCall": "retunable.agent.models.model",
    "ToolSpec": "retunable.agent.models.model",
    "Unavailable": "retunable.errors",
    "guardrail": "retunable.agent.guardrails.function",
    "run_forever": "retunable.serve.foreground",
    "tool": "retunable.agent.tools.tool",
}

__all__ = [
    "AgentConfig",
    "AgentStatus",
    "Answer",
    "CallId",
    "ConfigSubscription",
    "ConfigurationError",
    "Constraints",
    "ConversationBusy",
    "DurableAgent",
    "Env",
    "ExplainedCall",
    "ExplainedStep",
    "Explanation",
    "Message",
    "ModelProvider",
    "ModelReply",
    "ModelRequest",
    "NotReady",
    "OfflineProvider",
    "OpenAIProvider",
    "Prices",
    "ProposedCall",
    "ProviderFailed",
    "ProviderRefused",
    "Reason",
    "RetryPolicy",
    "RetunableError",
    "RunFailed",
    "RunForgotten",
    "RunIdConflict",
    "RunResult",
    "RunState",
    "RunStatus",
    "RunTimeout",
    "RunUnknown",
    "Secret",
    "Snapshot",
    "Status",
    "StepRecord",
    "StoreWriteError",
    "StreamState",
    "Timings",
    "TokenPrice",
    "ToolCall",
    "ToolSpec",
    "Unavailable",
    "__version__",
    "guardrail",
    "run_forever",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("retunable.config.package").PACKAGE_VERSION
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'retunable' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
