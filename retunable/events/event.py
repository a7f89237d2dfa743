"""The events that replicas publish: one closed union, and what each kind says.

Each is told at least once and in any order; ``event_id`` is what counting once goes by. No event
carries a message, an answer, a user id in the clear, a conversation id or a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal, NamedTuple

from pydantic import Field

from retunable.config.split import BUCKETS

TOPIC: Final = "retunable.events"
PUBSUB: Final = "pubsub"
"""The pub/sub component, whose name an agent's topic requests have too."""

MOST_ITEMS: Final = 100
"""An agent has 16 keys, and a field key may be rejected for the canary too."""

# A hostile or broken sender fills no store with one field.
Name = Annotated[str, Field(min_length=1, max_length=512)]
Text = Annotated[str, Field(max_length=2_000)]
Moment = Annotated[int, Field(ge=0, lt=253_370_764_800_000)]
"""Milliseconds since the epoch in UTC, by the sender's clock; before 9999, for no date is after it."""
Count = Annotated[int, Field(ge=0, lt=2**53)]
Digest = Annotated[str, Field(min_length=16, max_length=16)]
Bucket = Annotated[int, Field(ge=0, lt=BUCKETS)]

Arm = Literal["stable", "canary"]


class Rejected(NamedTuple):
    """An item of the store that a replica does not take, and why."""

    key: Name
    reason: Text


class ItemSeen(NamedTuple):
    """An item as a replica last read it: enough to tell whether it is what somebody wrote.

    ``digest`` is that of ``shown_value.digest``, None for what could not be read.
    """

    key: Name
    digest: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What every event says about itself: its id (a UUID4), who tells it, and when."""

    event_id: Annotated[str, Field(min_length=32, max_length=36)]
    agent: Name
    environment: Name
    replica: Name
    at_ms: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(Told):
    """What a replica runs on now. The next one comes within ``interval_ms``.

    ``generation`` and ``version`` are those of the active release, None without one.
    ``items`` are those of its keys that stood in the store when it last read them, without what it
    rejects as a secret; None where it never did. ``stream`` is None without a store. ``leaving`` says
    that this is its last one.
    """

    kind: ClassVar[Literal["heartbeat"]] = "heartbeat"

    interval_ms: Annotated[int, Field(ge=1, le=3_600_000)]
    revision: Count
    generation: Count | None = None
    version: Count | None = None
    status: Literal["not_ready", "ready", "stale", "error"]
    stream: Literal["live", "suspect", "polling"] | None = None
    rejected: Annotated[tuple[Rejected, ...], Field(max_length=MOST_ITEMS)] = ()
    items: Annotated[tuple[ItemSeen, ...], Field(max_length=MOST_ITEMS)] | None = None
    leaving: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedChange(Told):
    """An item of the store is another than a replica last saw, and no writer of ours did it.

    ``old`` and ``new`` are what stood there, None for nothing; a secret's value is never told.
    It happened after ``not_before_ms`` and no later than ``not_after_ms``, by the clock of the
    replica.
    """

    kind: ClassVar[Literal["observed_change"]] = "observed_change"

    key: Name
    item: Literal["override", "document"]
    old: str | None
    new: str | None
    not_before_ms: Moment
    not_after_ms: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Served(Told):
    """Which config a run got, and why this one.

    ``bucket`` is the user's place in the split, or the conversation's for a caller without a
    user; None outside of a rollout. ``arm`` is what the split said, ``variant`` what the run got.
    ``cohort`` is the stage in whose comparison the user was when the run began, None in no one's.
    ``user_hmac`` is a keyed hash of the user id, for this rollout or (without one) this week.
    ``anonymous``: no user was named, or there is no secret to hash one with. ``pinned`` says that
    the conversation was pinned before the cohort was opened. ``tool_code`` is a digest of the
    program's tools and their code, None outside of a rollout and from a replica that has none.
    """

    run_id: Name
    bucket: Bucket | None
    arm: Arm | None
    rollout_id: Name | None
    user_hmac: Name | None
    version: Count | None
    version_checksum: Name | None
    effective_checksum: Name
    variant: Name
    flags: tuple[Name, ...] = ()
    cohort: Count | None = None
    pinned: bool = False
    anonymous: bool = False
    tool_code: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure(Served):
    """A run started."""

    kind: ClassVar[Literal["exposure"]] = "exposure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Served):
    """A run ended. It repeats its exposure, so that an exposure lost on the way costs nothing.

    ``cost`` is that of all its model calls in ``currency``, None where one has no price.
    """

    kind: ClassVar[Literal["outcome"]] = "outcome"

    state: Literal["finished", "failed", "stopped"]
    error_kind: Name | None = None
    guardrail_failures: Count = 0
    limit_hit: bool = False
    input_tokens: Count = 0
    output_tokens: Count = 0
    cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    currency: Annotated[str, Field(max_length=16)] | None = None
    latency_ms: Count = 0
    steps: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback(Told):
    """Somebody rated a run's answer: thumbs up (1) or down (-1). Comments are not sent."""

    kind: ClassVar[Literal["feedback"]] = "feedback"

    run_id: Name
    rating: Literal[-1, 1]


Event = Heartbeat | ObservedChange | Exposure | Outcome | Feedback
