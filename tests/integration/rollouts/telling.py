"""What agents' runs are told by: events on the real topic, some twice, some late, none in order."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from typing import Any, Literal

import grpc
from dapr.proto.runtime.v1 import dapr_pb2_grpc, pubsub_pb2
from pydantic_core import to_json as json_bytes

from retunable.agent.runs.exposed import exposed
from retunable.config.resolve import resolve
from retunable.config.snapshot import Snapshot
from retunable.events.encoding import to_json
from retunable.events.event import PUBSUB, TOPIC, Event, Exposure, Outcome
from retunable.release.publishing.site import Site

Run = Literal["well", "fails", "hangs", "slowly"]
Behaviour = Callable[[str, random.Random], Run]
"""From a variant to how one of its runs goes."""

PUBLISH_SECONDS = 5.0
QUICK_MS = 50
SLOW_MS = 500
"""Always these two: of a few runs that all differ, the 95th percentile may lie anywhere. Once 22 % of
stable's runs were above it, and a hundred users of a slow canary prove little beside so many."""


class Broker:
    """Publishes events as agents do: at least once; what the broker does not take waits."""

    def __init__(self, channel: grpc.Channel, luck: random.Random) -> None:
        self._dapr: Any = dapr_pb2_grpc.DaprStub(channel)  # type: ignore[no-untyped-call]
        self._luck = luck
        self._waiting: list[Event] = []
        self.taken: set[str] = set()
        """The ids of what the broker has."""

    @property
    def waiting(self) -> int:
        """How many events the broker has not taken."""
        return len(self._waiting)

    def tell(self, events: list[Event]) -> None:
        """Publish events in any order: a fifth of them twice, and some only with the next ones."""
        self._waiting += events
        self._luck.shuffle(self._waiting)
        late = len(events) // 10
        while len(self._waiting) > late:
            for _ in range(2 if self._luck.random() < 0.2 else 1):
                if not self._publish(self._waiting[-1]):
                    return
            self.taken.add(self._waiting.pop().event_id)

    def _publish(self, event: Event) -> bool:
        request = pubsub_pb2.PublishEventRequest(
            pubsub_name=PUBSUB,
            topic=TOPIC,
            data=json_bytes(to_json(event)),
            data_content_type="application/json",
        )
        try:
            self._dapr.PublishEvent(request, timeout=PUBLISH_SECONDS)
        except grpc.RpcError:
            return False
        return True


def served(snapshot: Snapshot, user: str, *, tool_code: str) -> dict[str, Any]:
    """Return what the exposure of a user's run would say, from the published envelope alone."""
    resolution = resolve(snapshot, now=time.time(), user_id=user)
    stands = exposed(resolution.assignment, snapshot.rollout, pin=None, tool_code=lambda: tool_code)
    effective = resolution.effective
    return {
        "version": effective.version,
        "version_checksum": effective.version_checksum,
        "effective_checksum": effective.checksum,
        "variant": effective.variant,
        "rollout_id": stands.rollout_id,
        "bucket": stands.bucket,
        "arm": stands.arm,
        "cohort": stands.cohort,
        "pinned": stands.pinned,
        "anonymous": stands.anonymous,
        "tool_code": stands.tool_code,
        "user_hmac": f"hmac of {user} {stands.rollout_id}",
    }


def run_of(site: Site, user: str, given: dict[str, Any], *, went: Run) -> list[Event]:
    """Return the events of one run; of one that hangs there is no end."""
    now_ms = time.time_ns() // 1_000_000
    latency_ms = SLOW_MS if went == "slowly" else QUICK_MS
    told = {
        "agent": site.agent,
        "environment": site.environment,
        "replica": "r",
        "run_id": f"run-of-{user}",
        **given,
    }
    began = Exposure(**told, event_id=str(uuid.uuid4()), at_ms=now_ms - latency_ms)
    if went == "hangs":
        return [began]
    ended = Outcome(
        **told,
        event_id=str(uuid.uuid4()),
        at_ms=now_ms,
        state="failed" if went == "fails" else "finished",
        latency_ms=latency_ms,
    )
    return [began, ended]


def healthy(variant: str, luck: random.Random) -> Run:
    """Stable and canary fail alike, in 5 % of runs."""
    del variant
    return "fails" if luck.random() < 0.05 else "well"


def with_canary(how: Run) -> Behaviour:
    """Have most runs of the canary go like this."""

    def behaviour(variant: str, luck: random.Random) -> Run:
        if variant == "canary" and luck.random() < 0.6:
            return how
        return healthy(variant, luck)

    return behaviour
