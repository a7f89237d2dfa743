"""What the control plane is told of runs: that one began, how it ended, how it was rated.

Each event's id follows from the run's, so that a step or an end that comes again tells nothing
twice. Nothing here waits; what a run is told with stands in its records, so that a run that another
process began is told by whoever ends it.
"""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Protocol, get_args

from retunable.agent.loop.decision import Failed
from retunable.agent.models.prices import cost_of
from retunable.agent.runs.documents import Begun, Step
from retunable.agent.runs.exposed import Exposed
from retunable.agent.runs.memory import RunMemory
from retunable.agent.runs.views import RunState
from retunable.agent.users import Users
from retunable.config.resolve import Effective
from retunable.errors import ConfigurationError
from retunable.events.event import Event, Exposure, Feedback, Outcome

MOST_GOING_ON: Final = 10_000
"""Runs that began here and have no recorded first step yet; one of them ends by its records."""

_NAMESPACE: Final = uuid.UUID("5f0c9b52-6d0f-4f55-9c5e-6c1a52f1d7a1")

Rating = Literal["up", "down"]
RATINGS: Final[tuple[Rating, ...]] = get_args(Rating)
TellState = Literal["finished", "failed", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Who tells: one agent of one process."""

    agent: str
    environment: str
    replica: str


class TellsRuns(Protocol):
    """Is told of runs by the loop; never waits and never raises."""

    def began(self, begun: Begun, effective: Effective, exposed: Exposed) -> None:
        """A run's first model call is about to be made."""

    def ended(self, memory: RunMemory, unrecorded: RunState | None = None) -> None:
        """A run is over: as its record says, or without one."""

    def rated(self, run_id: str, rating: Rating, *, number: int) -> None:
        """A run was rated."""


class Telling:
    """Makes the events of one agent's runs and puts them on their way."""

    def __init__(
        self,
        teller: Teller,
        *,
        users: Users,
        put: Callable[[Event], None],
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._teller = teller
        self._users = users
        self._put = put
        self._now_ms = now_ms
        self._served: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def began(self, begun: Begun, effective: Effective, exposed: Exposed) -> None:
        """Tell the exposure of a run."""
        served = {
            "version": effective.version,
            "version_checksum": effective.version_checksum,
            "effective_checksum": effective.checksum,
            "variant": effective.variant,
            "flags": effective.flags,
            **self._of_caller(begun, exposed),
        }
        self._served[begun.run_id] = served
        while len(self._served) > MOST_GOING_ON:
            self._served.popitem(last=False)
        self._put(Exposure(**self._told(begun.run_id, "exposure"), **served))

    def ended(self, memory: RunMemory, unrecorded: RunState | None = None) -> None:
        """Tell the outcome of a run; nothing of one that never began."""
        begun, ended = memory.begun, memory.ended
        served = self._served.pop(begun.run_id, None) or self._of_records(memory)
        if served is None:
            return
        state = ended.state if ended is not None else unrecorded or RunState.FAILED
        steps = [memory.steps[number] for number in sorted(memory.steps)]
        cost = cost_of(step.record for step in steps)
        self._put(
            Outcome(
                **self._told(begun.run_id, "outcome"),
                **served,
                state=_told_state(state),
                error_kind=_error_kind(steps) if state is RunState.FAILED else None,
                guardrail_failures=sum(_failed_checks(steps)),
                limit_hit=ended is not None and ended.stop_reason == "max_iterations",
                input_tokens=sum(step.record.input_tokens for step in steps),
                output_tokens=sum(step.record.output_tokens for step in steps),
                cost=cost.amount,
                currency=cost.currency,
                latency_ms=_between_ms(begun.begun_at, ended.ended_at if ended else None),
                steps=len(steps),
            )
        )

    def rated(self, run_id: str, rating: Rating, *, number: int) -> None:
        """Tell the rating of this number of a run.

        Not whose it is, for an id is a hash without a key: it would tell the user to who guesses.
        """
        told = self._told(run_id, f"feedback\0{number}")
        self._put(Feedback(**told, rating=1 if rating == "up" else -1))

    def _told(self, run_id: str, what: str) -> dict[str, Any]:
        teller = self._teller
        name = "\0".join((teller.environment, teller.agent, run_id, what))
        return {
            "event_id": str(uuid.uuid5(_NAMESPACE, name)),
            "agent": teller.agent,
            "environment": teller.environment,
            "replica": teller.replica,
            "at_ms": self._now_ms(),
            "run_id": run_id,
        }

    def _of_caller(self, begun: Begun, exposed: Exposed) -> dict[str, Any]:
        hashed = self._users.pseudonym(
            begun.user_id,
            rollout_id=exposed.rollout_id,
            started_at=datetime.fromisoformat(begun.begun_at),
        )
        return {
            "rollout_id": exposed.rollout_id,
            "bucket": exposed.bucket,
            "arm": exposed.arm,
            "cohort": exposed.cohort,
            "pinned": exposed.pinned,
            "anonymous": exposed.anonymous or hashed is None,
            "user_hmac": hashed,
            "tool_code": exposed.tool_code,
        }

    def _of_records(self, memory: RunMemory) -> dict[str, Any] | None:
        first = memory.steps.get(1)
        if first is None:
            return None
        record = first.record
        return {
            "version": record.version,
            "version_checksum": record.version_checksum,
            "effective_checksum": record.effective_checksum,
            "variant": record.variant,
            "flags": record.flags,
            **self._of_caller(memory.begun, first.exposed or Exposed()),
        }


class NotTold:
    """Tells nobody."""

    def began(self, begun: Begun, effective: Effective, exposed: Exposed) -> None:
        """Tell nobody."""

    def ended(self, memory: RunMemory, unrecorded: RunState | None = None) -> None:
        """Tell nobody."""

    def rated(self, run_id: str, rating: Rating, *, number: int) -> None:
        """Tell nobody."""


def parse_rating(text: str) -> Rating:
    """Return the rating that a caller names.

    Raises:
        ConfigurationError: there is no such rating.
    """
    for rating in RATINGS:
        if text == rating:
            return rating
    raise ConfigurationError(f"rating={text!r} must be 'up' or 'down'")


def _told_state(state: RunState) -> TellState:
    match state:
        case RunState.FINISHED:
            return "finished"
        case RunState.STOPPED | RunState.FORGOTTEN:
            return "stopped"
        case RunState.FAILED | RunState.RUNNING:
            return "failed"


def _error_kind(steps: list[Step]) -> str:
    """Return the kind of the step that failed; without one the workflow itself did."""
    last = steps[-1].decision if steps else None
    return last.kind if isinstance(last, Failed) else "workflow"


def _failed_checks(steps: Iterable[Step]) -> Iterable[int]:
    return (not judged.verdict.passed for step in steps for judged in step.judged)


def _between_ms(begun_at: str, ended_at: str | None) -> int:
    end = datetime.fromisoformat(ended_at) if ended_at else datetime.now().astimezone()
    seconds = (end - datetime.fromisoformat(begun_at)).total_seconds()
    return max(round(seconds * 1000), 0)
