"""One event of each kind."""

from __future__ import annotations

from typing import Any, Final

from retunable.events.event import (
    Event,
    Exposure,
    Feedback,
    Heartbeat,
    ItemSeen,
    ObservedChange,
    Outcome,
    Rejected,
)
from retunable.events.shown_value import digest

TOLD: Final[dict[str, Any]] = {
    "event_id": "7b9c1f0e-6a1e-4f3b-9a57-0d1f5f6f2b11",
    "agent": "support",
    "environment": "production",
    "replica": "host-1/4711",
    "at_ms": 1_790_000_000_000,
}
SERVED: Final[dict[str, Any]] = {
    "run_id": "run-1",
    "bucket": 4711,
    "arm": "canary",
    "rollout_id": "r-1",
    "user_hmac": "ab" * 32,
    "version": 7,
    "version_checksum": "1:sha256:" + "0" * 64,
    "effective_checksum": "1:sha256:" + "1" * 64,
    "variant": "canary",
    "flags": ("beta-search",),
}
EVENTS: Final[tuple[Event, ...]] = (
    Heartbeat(
        **TOLD,
        interval_ms=5_000,
        revision=3,
        generation=12,
        version=7,
        status="ready",
        stream="live",
        rejected=(Rejected("llm_temperature", "hot"),),
        items=(ItemSeen("agent_role", digest("Expert")), ItemSeen("llm_model", None)),
    ),
    ObservedChange(
        **TOLD,
        key="agent_role",
        item="override",
        old=None,
        new="{{7*7}} ü \x00",
        not_before_ms=1,
        not_after_ms=2,
    ),
    Exposure(**TOLD, **SERVED),
    Outcome(
        **TOLD,
        **SERVED,
        state="failed",
        error_kind="ProviderFailed",
        cost=0.25,
        currency="EUR",
        steps=2,
    ),
    Feedback(**TOLD, run_id="run-1", rating=-1),
)
