"""How an agent is: the state of its configuration and what its provider refuses."""

from __future__ import annotations

from dataclasses import dataclass

from retunable.live.health import LiveStatus, Reason, Status
from retunable.live.stream_health import StreamState


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """One frozen view of an agent's health.

    ``stream`` and ``age_seconds`` (since the store was last read) are None for an agent
    without a store. ``provider_refusal`` is what the model provider last refused, until a
    call works again or the configuration changes. ``embedded_restarts`` counts how often the
    embedded sidecar of this process was started again, None on a sidecar of somebody else's.
    ``expired_flags`` are off since their end. ``events_waiting`` counts events about runs that the
    broker does not have yet, ``events_dropped`` those that had to go since the start.
    """

    state: Status
    reason: Reason | None = None
    detail: str = ""
    stream: StreamState | None = None
    age_seconds: float | None = None
    replacements: int = 0
    last_replacement_cause: str | None = None
    provider_refusal: str | None = None
    embedded_restarts: int | None = None
    expired_flags: tuple[str, ...] = ()
    events_waiting: int = 0
    events_dropped: int = 0


def agent_status(
    live: LiveStatus,
    *,
    provider_refusal: str | None,
    has_store: bool,
    embedded_restarts: int | None,
    embedded_away: str | None,
    expired_flags: tuple[str, ...] = (),
    events_waiting: int = 0,
    events_dropped: int = 0,
) -> AgentStatus:
    """Add the provider's refusal and the embedded sidecar to the state of the configuration.

    ``embedded_away`` says why the embedded sidecar is away; it explains everything else.
    """
    return AgentStatus(
        state=live.state,
        reason=live.reason,
        detail=embedded_away or live.detail,
        stream=live.stream if has_store else None,
        age_seconds=live.age_seconds if has_store else None,
        replacements=live.replacements,
        last_replacement_cause=live.last_replacement_cause,
        provider_refusal=provider_refusal,
        embedded_restarts=embedded_restarts,
        expired_flags=expired_flags,
        events_waiting=events_waiting,
        events_dropped=events_dropped,
    )
