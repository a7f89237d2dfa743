"""Counts that a verdict needs, kept as users are enrolled and decided: never the users themselves.

So a verdict costs the same over ten users and over ten million.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from retunable.config.stages import Arm, Cohort, Place
from retunable.rollout.metrics import NOTHING_BAD, Metric

LONGEST_QUEUE: Final = 64
"""How many users of one arm wait for a partner: with unequal arms the oldest are let go, so that
a pair is of users enrolled at about the same time."""


@dataclass(frozen=True, slots=True)
class Arms:
    """A count in each arm of one cohort."""

    canary: int = 0
    control: int = 0


@dataclass(frozen=True, slots=True)
class Pairs:
    """Matched pairs of one metric: bad on the canary alone, on the control alone, or alike."""

    worse: int = 0
    better: int = 0
    alike: int = 0

    def __add__(self, other: Pairs) -> Pairs:
        """Return both together."""
        return Pairs(self.worse + other.worse, self.better + other.better, self.alike + other.alike)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortCounts:
    """What is known of one cohort; ``canary_share`` is its w."""

    canary_share: float
    enrolled: Arms = Arms()
    matured: Arms = Arms()
    missing: Arms = Arms()
    bad: Mapping[Metric, Arms] = field(default_factory=dict)
    pairs: Mapping[Metric, Pairs] = field(default_factory=dict)

    def bad_users(self, metric: Metric) -> Arms:
        """Return the matured users who are bad by a metric."""
        return self.bad.get(metric, Arms())

    def pairs_of(self, metric: Metric) -> Pairs:
        """Return the matched pairs as a metric sees them."""
        return self.pairs.get(metric, Pairs())


class Tally:
    """Counts users as they are enrolled and decided."""

    def __init__(self, cohorts: Sequence[Cohort]) -> None:
        self._cohorts = [_CohortTally(cohort.canary_share) for cohort in cohorts]

    def enrol(self, place: Place) -> None:
        """Count a user who was enrolled."""
        self._cohorts[place.cohort].enrolled[place.arm] += 1

    def decide(self, place: Place, bad: frozenset[Metric], *, missing: bool) -> None:
        """Count an enrolled user who has matured; users come in the order of their enrolment."""
        self._cohorts[place.cohort].decide(place.arm, bad, missing=missing)

    def counts(self) -> tuple[CohortCounts, ...]:
        """Return the counts of now, one entry a cohort."""
        return tuple(cohort.counts() for cohort in self._cohorts)

    def to_json(self) -> list[dict[str, Any]]:
        """Return all that is counted, which ``resume`` reads."""
        return [cohort.to_json() for cohort in self._cohorts]

    def resume(self, kept: Sequence[Mapping[str, Any]]) -> None:
        """Go on from ``to_json`` of the same cohorts; nobody was counted here yet."""
        for cohort, counted in zip(self._cohorts, kept, strict=True):
            cohort.resume(counted)


class _CohortTally:
    def __init__(self, canary_share: float) -> None:
        self.canary_share = canary_share
        self.enrolled: Counter[Arm] = Counter()
        self.matured: Counter[Arm] = Counter()
        self.missing: Counter[Arm] = Counter()
        self.bad: Counter[tuple[Metric, Arm]] = Counter()
        self.pairs = 0
        self.discordant: Counter[tuple[Metric, Arm]] = Counter()
        self.waiting: dict[Arm, deque[frozenset[Metric]]] = {
            "canary": deque(maxlen=LONGEST_QUEUE),
            "control": deque(maxlen=LONGEST_QUEUE),
        }

    def decide(self, arm: Arm, bad: frozenset[Metric], *, missing: bool) -> None:
        self.matured[arm] += 1
        if missing:
            self.missing[arm] += 1
        for metric in bad:
            self.bad[metric, arm] += 1
        self._match(arm, bad)

    def _match(self, arm: Arm, bad: frozenset[Metric]) -> None:
        other: Arm = "control" if arm == "canary" else "canary"
        if not self.waiting[other]:
            self.waiting[arm].append(bad)
            return
        partner = self.waiting[other].popleft()
        self.pairs += 1
        if bad is partner:
            return
        for metric in bad - partner:
            self.discordant[metric, arm] += 1
        for metric in partner - bad:
            self.discordant[metric, other] += 1

    def counts(self) -> CohortCounts:
        return CohortCounts(
            canary_share=self.canary_share,
            enrolled=_arms(self.enrolled),
            matured=_arms(self.matured),
            missing=_arms(self.missing),
            bad={
                metric: Arms(self.bad[metric, "canary"], self.bad[metric, "control"])
                for metric in Metric
            },
            pairs={metric: self._pairs(metric) for metric in Metric},
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "enrolled": dict(self.enrolled),
            "matured": dict(self.matured),
            "missing": dict(self.missing),
            "bad": _by_metric(self.bad),
            "pairs": self.pairs,
            "discordant": _by_metric(self.discordant),
            "waiting": {arm: [sorted(bad) for bad in queue] for arm, queue in self.waiting.items()},
        }

    def resume(self, kept: Mapping[str, Any]) -> None:
        for counter in ("enrolled", "matured", "missing"):
            getattr(self, counter).update(kept[counter])
        for metric, arm, count in kept["bad"]:
            self.bad[Metric(metric), arm] = count
        self.pairs = kept["pairs"]
        for metric, arm, count in kept["discordant"]:
            self.discordant[Metric(metric), arm] = count
        for arm, queue in self.waiting.items():
            queue.extend(frozenset(map(Metric, bad)) or NOTHING_BAD for bad in kept["waiting"][arm])

    def _pairs(self, metric: Metric) -> Pairs:
        worse, better = self.discordant[metric, "canary"], self.discordant[metric, "control"]
        return Pairs(worse, better, self.pairs - worse - better)


def _by_metric(counter: Counter[tuple[Metric, Arm]]) -> list[tuple[Metric, Arm, int]]:
    return [(metric, arm, count) for (metric, arm), count in counter.items()]


def _arms(counter: Counter[Arm]) -> Arms:
    return Arms(counter["canary"], counter["control"])
