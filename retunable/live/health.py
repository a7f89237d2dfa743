"""How fresh an agent's configuration is: one closed status, as a function of what happened.

Pure: events go in, what is known comes out, and ``judge`` turns it into a status at a moment.
Logging, counting and telling others is done where the events come from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import assert_never

from retunable.live.store import FailureKind
from retunable.live.stream_health import StreamState


class Status(Enum):
    """READY and STALE serve a configuration; NOT_READY has none; ERROR needs a restart."""

    NOT_READY = "not_ready"
    READY = "ready"
    STALE = "stale"
    ERROR = "error"


class Reason(Enum):
    """Why a status is not READY."""

    STARTING = "starting"
    OLD_READ = "old_read"
    START_WITHOUT_STORE = "start_without_store"
    LOST = "lost"
    ABSENT = "absent"
    UNREACHABLE = "unreachable"
    SIDECAR_UNREACHABLE = "sidecar_unreachable"
    UNSETTLED = "unsettled"
    TASK_DIED = "task_died"


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """What a program, a probe and a person see.

    ``age_seconds`` is the age of the last good read, None before the first. ``detail`` is for
    people. ``alerts`` counts the transitions that were logged as errors.
    """

    state: Status
    reason: Reason | None = None
    detail: str = ""
    stream: StreamState = StreamState.SUSPECT
    age_seconds: float | None = None
    replacements: int = 0
    last_replacement_cause: str | None = None
    alerts: int = 0


class Source(Enum):
    """Where the configuration that is served was read."""

    NOWHERE = "nowhere"
    DISK = "disk"
    DEFAULTS = "defaults"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class Health:
    """What is known about the configuration that is served."""

    source: Source = Source.NOWHERE
    last_read_at: float | None = None
    failure: FailureKind | None = None
    unsettled: bool = False
    detail: str = ""
    lost: tuple[str, ...] = ()
    dead_task: str | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """A configuration is served that does not come from the store."""

    source: Source


@dataclass(frozen=True, slots=True)
class ReadSucceeded:
    """The store answered; ``lost`` names the keys that are gone and kept."""

    at: float
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadFailed:
    """The store did not answer; None stands for reads that did not agree."""

    failure: FailureKind | None
    detail: str


@dataclass(frozen=True, slots=True)
class TaskDied:
    """A background task ended and cannot be started again."""

    name: str


Event = Served | ReadSucceeded | ReadFailed | TaskDied


def advance(health: Health, event: Event) -> Health:
    """Return what is known after an event."""
    match event:
        case Served(source):
            return replace(health, source=source)
        case ReadSucceeded(at, lost):
            return Health(Source.STORE, at, lost=lost, dead_task=health.dead_task)
        case ReadFailed(failure, detail):
            return replace(health, failure=failure, unsettled=failure is None, detail=detail)
        case TaskDied(name):
            return replace(health, dead_task=name)
        case _:
            assert_never(event)


def judge(
    health: Health, *, now: float, stale_after_seconds: float
) -> tuple[Status, Reason | None, str]:
    """Return status, reason and detail at a moment."""
    if health.dead_task is not None:
        detail = f"the task {health.dead_task!r} died; restart the process"
        return Status.ERROR, Reason.TASK_DIED, detail
    match health.source:
        case Source.NOWHERE:
            return Status.NOT_READY, _reason(health, Reason.STARTING), health.detail
        case Source.DISK:
            return Status.STALE, Reason.OLD_READ, health.detail
        case Source.DEFAULTS:
            return Status.STALE, Reason.START_WITHOUT_STORE, health.detail
        case Source.STORE:
            return _judge_read(health, now - (health.last_read_at or 0), stale_after_seconds)
        case _:
            assert_never(health.source)


def _judge_read(
    health: Health, age_seconds: float, stale_after_seconds: float
) -> tuple[Status, Reason | None, str]:
    if age_seconds >= stale_after_seconds:
        # No failure yet means that a read has been waiting all the time.
        otherwise = Reason.UNSETTLED if health.unsettled else Reason.UNREACHABLE
        return Status.STALE, _reason(health, otherwise), health.detail
    if health.lost:
        return Status.STALE, Reason.LOST, f"gone from the store and kept: {', '.join(health.lost)}"
    return Status.READY, None, health.detail


def _reason(health: Health, otherwise: Reason) -> Reason:
    match health.failure:
        case None:
            return otherwise
        case FailureKind.COMPONENT_ABSENT:
            return Reason.ABSENT
        case FailureKind.SIDECAR_UNREACHABLE:
            return Reason.SIDECAR_UNREACHABLE
        case FailureKind.STORE_UNREACHABLE | FailureKind.DEADLINE | FailureKind.POISONED:
            return Reason.UNREACHABLE
        case _:
            assert_never(health.failure)
