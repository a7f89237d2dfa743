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
    from retunable.agent.model import (
        Message,
        ModelProvider,
        ModelReply,
        ModelRequest,
        ToolCall,
        ToolSpec,
    )
    from retunable.agent.offline_provider import OfflineProvider
    from retunable.agent.openai_provider import OpenAIProvider
    from retunable.agent.records import RunResult, StepRecord
    from retunable.agent.retry import RetryPolicy
    from retunable.agent.run_views import (
        ExplainedCall,
        ExplainedStep,
        Explanation,
        RunState,
        RunStatus,
    )
    from retunable.agent.secrets import Env, Secret
    from retunable.agent.status import AgentStatus
    from retunable.agent.tool_arguments import CallId
    from retunable.agent.tools import tool
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
    "CallId": "retunable.agent.tool_arguments",
    "ConfigSubscription": "retunable.live.subscription",
    "ConfigurationError": "retunable.errors",
    "Constraints": "retunable.config.constraints",
    "ConversationBusy": "retunable.errors",
    "DurableAgent": "retunable.agent.durable_agent",
    "Env": "retunable.agent.secrets",
    "ExplainedCall": "retunable.agent.run_views",
    "ExplainedStep": "retunable.agent.run_views",
    "Explanation": "retunable.agent.run_views",
    "Message": "retunable.agent.model",
    "ModelProvider": "retunable.agent.model",
    "ModelReply": "retunable.agent.model",
    "ModelRequest": "retunable.agent.model",
    "NotReady": "retunable.errors",
    "OfflineProvider": "retunable.agent.offline_provider",
    "OpenAIProvider": "retunable.agent.openai_provider",
    "ProposedCall": "retunable.agent.guardrails.proposal",
    "ProviderFailed": "retunable.errors",
    "ProviderRefused": "retunable.errors",
    "Reason": "retunable.live.health",
    "RetryPolicy": "retunable.agent.retry",
    "RetunableError": "retunable.errors",
    "RunFailed": "retunable.errors",
    "RunForgotten": "retunable.errors",
    "RunIdConflict": "retunable.errors",
    "RunResult": "retunable.agent.records",
    "RunState": "retunable.agent.run_views",
    "RunStatus": "retunable.agent.run_views",
    "RunTimeout": "retunable.errors",
    "RunUnknown": "retunable.errors",
    "Secret": "retunable.agent.secrets",
    "Snapshot": "retunable.config.snapshot",
    "Status": "retunable.live.health",
    "StepRecord": "retunable.agent.records",
    "StoreWriteError": "retunable.errors",
    "StreamState": "retunable.live.stream_health",
    "Timings": "retunable.live.subscription",
    "ToolCall": "retunable.agent.model",
    "ToolSpec": "retunable.agent.model",
    "Unavailable": "retunable.errors",
    "guardrail": "retunable.agent.guardrails.function",
    "run_forever": "retunable.serve.foreground",
    "tool": "retunable.agent.tools",
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
