"""What is known about a stream of hints: live, suspect or polling, and what follows from it.

Pure. A stream that missed a change is replaced; only a hint proves the replacement. After
``fruitless`` replacements too many the stream is not waited for any more: all keys are polled,
and a stream is tried again from time to time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class StreamState(Enum):
    """``SUSPECT``: no evidence for it yet. ``POLLING``: not relied on, all keys are polled."""

    LIVE = "live"
    SUSPECT = "suspect"
    POLLING = "polling"


class Cause(Enum):
    """Why a stream is opened."""

    FIRST = "first subscription"
    MISSED = "a change was not announced"
    ENDED = "the stream ended"
    READS_BACK = "reads failed and work again"
    KEYS = "an agent came or went"
    DISCARDED = "reads failed right after the subscription"
    TRIAL = "polling: a stream is tried again"


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """What is known; ``fruitless`` counts replacements since the last hint or good start."""

    state: StreamState = StreamState.SUSPECT
    fruitless: int = 0
    replacements: int = 0
    last_cause: str | None = None
    doubted: bool = False


def opened(health: StreamHealth, *, cause: Cause, detail: str = "") -> StreamHealth:
    """Return what is known once a stream stands in the place of another."""
    if cause is Cause.FIRST:
        return health
    counted = cause in (Cause.MISSED, Cause.DISCARDED)
    return replace(
        health,
        replacements=health.replacements + 1,
        fruitless=health.fruitless + counted,
        last_cause=f"{cause.value}: {detail}" if detail else cause.value,
    )


def confirmed(health: StreamHealth) -> StreamHealth:
    """A read worked with the stream open: good for one that nothing speaks against."""
    if health.state is StreamState.SUSPECT and not health.doubted:
        return replace(health, state=StreamState.LIVE)
    return health


def broken(health: StreamHealth) -> StreamHealth:
    """The stream is gone and another is on its way."""
    if health.state is StreamState.LIVE:
        return replace(health, state=StreamState.SUSPECT)
    return health


def heard(health: StreamHealth) -> StreamHealth:
    """A hint came: the one proof that a stream works."""
    return replace(health, state=StreamState.LIVE, fruitless=0, doubted=False)


def doubted(health: StreamHealth, *, most_fruitless: int) -> StreamHealth:
    """The stream missed a change, or reads fail because of it."""
    polling = health.state is StreamState.POLLING or health.fruitless >= most_fruitless
    state = StreamState.POLLING if polling else StreamState.SUSPECT
    return replace(health, state=state, doubted=True)
