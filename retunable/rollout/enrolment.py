"""Who is in the comparison, and when what happened to a user is decided.

A user is enrolled at the first run in its cohort. Bad is what was bad in any run started within
the window after it, decided once, when the last of these runs has had its time to end: a run
without an end is an error. That time runs from when the user was first heard of, where an outage
held events back. What arrives later, or again, changes nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, assert_never

from retunable.config.stages import Cohort, Place
from retunable.rollout.events import Event, Exposure, Outcome, Rating
from retunable.rollout.metrics import NOTHING_BAD, OF_FIRST_RUN, Limits, Metric
from retunable.rollout.tally import Tally


@dataclass(slots=True)
class Run:
    """One run of an enrolled user; ``bad`` is None until it has ended."""

    id: str
    started_at: float
    bad: frozenset[Metric] | None = None
    disliked: bool = False


@dataclass(slots=True)
class User:
    """An enrolled user who is not decided yet.

    ``heard_at`` is when the first of its events came: what an outage held back comes long after
    the runs, and the start of one is no run without an end until its end had time to come too.
    """

    place: Place
    enrolled_at: float
    heard_at: float
    runs: dict[str, Run] = field(default_factory=dict)

    @property
    def waits_from(self) -> float:
        """From when on window and timeout are waited for."""
        return max(self.enrolled_at, self.heard_at)

    def runs_within(self, seconds: float) -> list[Run]:
        """Return the runs started within some seconds of the enrolment, in order."""
        within = [run for run in self.runs.values() if run.started_at <= self.enrolled_at + seconds]
        return sorted(within, key=lambda run: (run.started_at, run.id))


@dataclass(slots=True)
class Uncounted:
    """Starts of runs that are reported and not tested, by why; of the analysis of now."""

    anonymous: int = 0
    outside: int = 0
    pinned: int = 0
    other_tools: int = 0
    enrolled_before_restart: int = 0


class Enrolment:
    """Follows the users of one rollout; counts them in ``tally``."""

    def __init__(
        self,
        cohorts: Sequence[Cohort],
        *,
        window_seconds: float,
        run_timeout_seconds: float,
        limits: Limits | None = None,
    ) -> None:
        self.tally = Tally(cohorts)
        self.uncounted = Uncounted()
        self._cohorts = cohorts
        self._window_seconds = window_seconds
        self._run_timeout_seconds = run_timeout_seconds
        self._limits = limits or Limits()
        self._users: dict[str, User] = {}
        self._now = 0.0
        self._due: list[tuple[float, float, str]] = []
        self._decided: set[str] = set()
        self._earlier: set[str] = set()
        self._met_other_tools: set[str] = set()

    def see(self, event: Event) -> None:
        """Take an event, in whatever order and however often it comes.

        Only ``uncounted`` takes a start that comes twice for two.
        """
        match event:
            case Exposure():
                if self._is_left_out(event):
                    self._count_left_out(event)
                self._run_of(event)
            case Outcome(exposure=exposure):
                run = self._run_of(exposure)
                if run is not None and run.bad is None:
                    run.bad = event.bad(self._limits)
            case Rating(exposure=exposure, liked=liked):
                run = self._run_of(exposure)
                if run is not None and not liked:
                    run.disliked = True
            case _ as unreachable:
                assert_never(unreachable)

    def mature(self, now: float) -> None:
        """Decide the users whose time has come, in the order of their enrolment."""
        self._now = now
        latest = now - self._window_seconds - self._run_timeout_seconds
        while self._due and self._due[0][0] <= latest:
            user = self._users.pop(name := heapq.heappop(self._due)[-1], None)
            if user is None:
                continue  # an earlier run became known: the user stood further ahead as well
            self._decided.add(name)
            self._decide(user)

    def pass_over(self, event: Event) -> None:
        """Leave out a run on other tools; a user whom it could have enrolled never is."""
        exposure = event if isinstance(event, Exposure) else event.exposure
        if exposure.user is not None and exposure.is_comparable:
            self._met_other_tools.add(exposure.user)
        if isinstance(event, Exposure):
            self.uncounted.other_tools += 1

    def restart(self) -> None:
        """Discard the evidence; whoever met the rollout already is not enrolled again."""
        self._earlier |= self._decided | self._users.keys() | self._met_other_tools
        self._users, self._due, self._decided = {}, [], set()
        self.tally, self.uncounted = Tally(self._cohorts), Uncounted()

    def to_json(self) -> dict[str, Any]:
        """Return what ``resume`` goes on from: the counts, and the users who are not decided yet.

        Those who are decided are not in it, for they are most of all: ``recall`` names them again.
        """
        return {
            "tally": self.tally.to_json(),
            "uncounted": asdict(self.uncounted),
            "users": [_user_json(name, user) for name, user in self._users.items()],
        }

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from ``to_json`` of the same cohorts; nobody was seen here yet."""
        self.tally.resume(kept["tally"])
        self.uncounted = Uncounted(**kept["uncounted"])
        self._users = dict(map(_user_of, kept["users"]))
        self._due = [_due(name, user) for name, user in self._users.items()]
        heapq.heapify(self._due)

    def knows(self, user: str) -> bool:
        """Tell whether a user was met, as far as this one has been told."""
        return (
            user in self._users
            or user in self._decided
            or user in self._earlier
            or user in self._met_other_tools
        )

    def recall(self, *, decided: Iterable[str], earlier: Iterable[str]) -> None:
        """Be told of users met before what it resumed from: in this analysis, or in one before.

        Who had met other tools alone needs no telling: a restart makes it one of those before.
        """
        self._decided.update(decided)
        self._earlier.update(earlier)

    def _is_left_out(self, exposure: Exposure) -> bool:
        return exposure.user is None or not exposure.is_comparable or exposure.user in self._earlier

    def _run_of(self, exposure: Exposure) -> Run | None:
        """Return the run of an event; None where the event has no effect."""
        name, place = exposure.user, exposure.place
        if name is None or place is None or self._is_left_out(exposure) or name in self._decided:
            return None
        user = self._users.get(name)
        if user is None:
            user = self._users[name] = User(place, exposure.started_at, self._now)
            heapq.heappush(self._due, _due(name, user))
            self.tally.enrol(place)
        elif exposure.started_at < user.enrolled_at:
            user.enrolled_at = exposure.started_at
            heapq.heappush(self._due, _due(name, user))
        run = user.runs.setdefault(exposure.run, Run(exposure.run, exposure.started_at))
        # An outcome reckons the start back from its end, perhaps by another replica's clock.
        run.started_at = min(run.started_at, exposure.started_at)
        return run

    def _count_left_out(self, exposure: Exposure) -> None:
        if exposure.user is None:
            self.uncounted.anonymous += 1
        elif exposure.place is None:
            self.uncounted.outside += 1
        elif exposure.pinned_before:
            self.uncounted.pinned += 1
        else:
            self.uncounted.enrolled_before_restart += 1

    def _decide(self, user: User) -> None:
        runs = user.runs_within(self._window_seconds)
        bad = NOTHING_BAD.union(*(_bad_in(run, first=run is runs[0]) for run in runs))
        self.tally.decide(user.place, bad or NOTHING_BAD, missing=any(r.bad is None for r in runs))


def _bad_in(run: Run, *, first: bool) -> frozenset[Metric]:
    # A run that never ended is an error; its user has waited longer than any limit, too.
    bad = frozenset({Metric.ERROR, Metric.SLOW}) if run.bad is None else run.bad
    if run.disliked:
        bad |= {Metric.DISLIKED}
    return bad if first else bad - OF_FIRST_RUN


def _due(name: str, user: User) -> tuple[float, float, str]:
    return user.waits_from, user.enrolled_at, name


def _user_json(name: str, user: User) -> list[Any]:
    runs = [
        [run.id, run.started_at, None if run.bad is None else sorted(run.bad), run.disliked]
        for run in user.runs.values()
    ]
    return [name, *user.place, user.enrolled_at, user.heard_at, runs]


def _user_of(kept: Sequence[Any]) -> tuple[str, User]:
    name, cohort, arm, enrolled_at, heard_at, told = kept
    runs = {
        run: Run(run, started_at, None if bad is None else frozenset(map(Metric, bad)), disliked)
        for run, started_at, bad, disliked in told
    }
    return name, User(Place(cohort, arm), enrolled_at, heard_at, runs)
