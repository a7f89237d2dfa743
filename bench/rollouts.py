"""Rollouts by the ten thousand, judged as the package judges them: how often is that wrong?

    uv pip install --group bench && python -m bench.rollouts [--quick]

Every rollout of a case runs at once, a look at a time; a look comes every two bad users or so, later
when there are two in a hundred more. The evidence is reckoned in arrays here, so the last counts of some rollouts are given to the
package's own verdict too, which must decide the same.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from math import exp, lgamma, log, log1p
from typing import Final

import numpy as np

from retunable.rollout.margin import BETS, MARGIN
from retunable.rollout.metrics import TESTED, Metric
from retunable.rollout.policy import Classical, Pace, Sequential
from retunable.rollout.ratio import DOWN, UP, WORST_RATIO, canary_probability
from retunable.rollout.tally import Arms, CohortCounts, Pairs
from retunable.rollout.verdict import Decision, Look, judge

QUICK: Final = "--quick" in sys.argv
ROLLOUTS: Final = 1_000 if QUICK else 20_000
SEED: Final = 20261121
POLICY: Final = Sequential(pace=Pace(stage_seconds=0, stage_users=1))
CLASSICAL: Final = Classical(minimum_users=200)
COMPARED: Final = 100
"""Rollouts of a case whose counts are given to the package's verdict as well."""

HEALTHY_RATES: Final = {
    Metric.GUARDRAIL: 0.001,
    Metric.LIMIT: 0.0005,
    Metric.SLOW: 0.05,
    Metric.COSTLY: 0.05,
}
BAD_USERS_A_LOOK: Final = 2
GROWTH_A_LOOK: Final = 0.02
BY_MARGIN: Final = (Metric.GUARDRAIL, Metric.LIMIT)
UNDECIDED, ROLLED_BACK, PROMOTED = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of canary: users fail with ``bad_rate`` on stable, ``ratio`` times that on it.

    ``users`` of both arms mature until the deadline. ``failures`` are failed requests of a bad
    user on average: the classical rule counts requests. ``excess`` is added to the canary's rate
    of guardrail failures.
    """

    name: str
    ratio: float
    bad_rate: float
    users: int
    share: float = 0.5
    failures: float = 1.0
    excess: float = 0.0

    @property
    def is_bad(self) -> bool:
        """Whether a promotion would be wrong."""
        return self.ratio >= WORST_RATIO or self.excess >= MARGIN


CASES: Final = (
    Case(name="healthy", ratio=1, bad_rate=0.05, users=100_000),
    Case(name="healthy, rare errors", ratio=1, bad_rate=0.001, users=400_000),
    Case(name="healthy, clustered errors", ratio=1, bad_rate=0.02, users=200_000, failures=10),
    Case(name="healthy, 1 % beside 10 %", ratio=1, bad_rate=0.05, users=200_000, share=1 / 11),
    Case(name="exactly M", ratio=1.5, bad_rate=0.05, users=200_000),
    Case(name="exactly M", ratio=1.5, bad_rate=0.01, users=400_000),
    Case(name="exactly M, rare errors", ratio=1.5, bad_rate=0.001, users=400_000),
    Case(name="exactly M, clustered errors", ratio=1.5, bad_rate=0.02, users=400_000, failures=10),
    Case(name="exactly M, 1 % beside 10 %", ratio=1.5, bad_rate=0.05, users=200_000, share=1 / 11),
    Case(name="margin of guardrails", ratio=1, bad_rate=0.05, users=100_000, excess=MARGIN),
    Case(name="twice as bad", ratio=2, bad_rate=0.05, users=100_000),
    Case(name="twice as bad, rare errors", ratio=2, bad_rate=0.001, users=400_000),
    Case(name="twice as bad, clustered", ratio=2, bad_rate=0.02, users=200_000, failures=10),
    # A site with a million users a week: 0.1, 1 and 10 % of them on the canary, as many beside.
    Case(name="0.1 % traffic, rare errors", ratio=1, bad_rate=0.001, users=2_000),
    Case(name="0.1 % traffic, rare errors", ratio=2, bad_rate=0.001, users=2_000),
    Case(name="1 % traffic", ratio=1, bad_rate=0.01, users=20_000),
    Case(name="1 % traffic", ratio=2, bad_rate=0.01, users=20_000),
    Case(name="10 % traffic", ratio=1, bad_rate=0.01, users=200_000),
    Case(name="10 % traffic", ratio=2, bad_rate=0.01, users=200_000),
)


class Rollouts:
    """All rollouts of one case: counts by rollout, one array a count."""

    def __init__(self, case: Case, random: np.random.Generator) -> None:
        self.case, self.random = case, random
        self.rates = {Metric.ERROR: (case.bad_rate * case.ratio, case.bad_rate)}
        self.rates |= {metric: (rate, rate) for metric, rate in HEALTHY_RATES.items()}
        guardrail = HEALTHY_RATES[Metric.GUARDRAIL]
        self.rates[Metric.GUARDRAIL] = (guardrail + case.excess, guardrail)
        self.canary, self.control = _zeros(), _zeros()
        self.bad = {metric: (_zeros(), _zeros()) for metric in TESTED}
        self.pairs = _zeros()
        self.discordant = {metric: (_zeros(), _zeros()) for metric in BY_MARGIN}
        self.failed_requests = (_zeros(), _zeros())

    def mature(self, going: np.ndarray, users: int) -> None:
        """Let some more users of the rollouts that are going on mature.

        The bad users of both arms are drawn first and then shared out, which gives the same
        distribution and leaves most draws with constant parameters.
        """
        draw, share = self.random.binomial, self.case.share
        worse, usual = self.rates[Metric.ERROR]
        failed = self._share_out(Metric.ERROR, going, users)
        fine = users - failed[0] - failed[1]
        of_fine = share * (1 - worse) / (1 - share * worse - (1 - share) * usual)
        canary = failed[0] + draw(fine, of_fine)
        self.canary[going] += canary
        self.control[going] += users - canary
        for requests, users_bad in zip(self.failed_requests, failed, strict=True):
            requests[going] += self._requests(users_bad)
        for metric in (Metric.SLOW, Metric.COSTLY):
            self._share_out(metric, going, users)
        paired = np.minimum(self.canary[going], self.control[going])
        pairs = paired - self.pairs[going]
        self.pairs[going] = paired
        alone = np.maximum(users - canary - pairs, 0)
        for metric in BY_MARGIN:
            self._match(metric, going, pairs, alone)

    def _share_out(
        self, metric: Metric, going: np.ndarray, users: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the users who are bad by a metric, and the arm of each."""
        worse, usual = self.rates[metric]
        share = self.case.share
        bad = self.random.binomial(users, share * worse + (1 - share) * usual, going.size)
        on_canary = self.random.binomial(bad, canary_probability(worse / usual, share))
        self.bad[metric][0][going] += on_canary
        self.bad[metric][1][going] += bad - on_canary
        return on_canary, bad - on_canary

    def _match(
        self, metric: Metric, going: np.ndarray, pairs: np.ndarray, alone: np.ndarray
    ) -> None:
        """Draw what the new pairs and the unmatched control users are bad by."""
        draw = self.random.binomial
        worse, usual = self.rates[metric]
        one, other, both = worse * (1 - usual), usual * (1 - worse), worse * usual
        discordant = draw(pairs, one + other)
        more = draw(discordant, one / (one + other))
        alike = draw(pairs - discordant, both / (1 - one - other))
        self.discordant[metric][0][going] += more
        self.discordant[metric][1][going] += discordant - more
        self.bad[metric][0][going] += more + alike
        self.bad[metric][1][going] += discordant - more + alike + draw(alone, usual)

    def _requests(self, bad_users: np.ndarray) -> np.ndarray:
        """Each bad user fails once, and geometrically often again."""
        more = self.case.failures - 1
        if more == 0:
            return bad_users
        again = self.random.negative_binomial(np.maximum(bad_users, 1), 1 / (1 + more))
        return bad_users + np.where(bad_users > 0, again, 0)

    def evidence(
        self, metric: Metric, going: np.ndarray, alternatives: tuple[float, ...], bound: float
    ) -> np.ndarray:
        """Return log E of a ratio, as the package's ``ratio`` has it."""
        on_canary, on_control = (counts[going] for counts in self.bad[metric])
        logs = []
        for ratio in (*alternatives, bound):
            theta = canary_probability(ratio, self.case.share)
            logs.append(on_canary * log(theta) + on_control * log(1 - theta))
        return _log_mean(logs[:-1]) - logs[-1]

    def within_margin(self, metric: Metric, going: np.ndarray) -> np.ndarray:
        """Return log E of the margin, as the package's ``margin`` has it."""
        worse, better = (counts[going] for counts in self.discordant[metric])
        alike = self.pairs[going] - worse - better
        return _log_mean(
            [
                worse * log(1 - bet * (1 - MARGIN))
                + better * log1p(bet * (1 + MARGIN))
                + alike * log1p(bet * MARGIN)
                for bet in BETS
            ]
        )

    def decide(self, going: np.ndarray) -> np.ndarray:
        """Return what the evidence says of each rollout that is going on."""
        found = np.full(going.size, UNDECIDED)
        proven = self.evidence(Metric.ERROR, going, DOWN, WORST_RATIO) >= log(POLICY.promote_at)
        proven &= self.canary[going] >= POLICY.pace.canary_users
        for metric in BY_MARGIN:
            where = np.flatnonzero(proven)
            enough = self.within_margin(metric, going[where]) >= log(POLICY.promote_at)
            proven[where] = enough
        found[proven] = PROMOTED
        for metric in TESTED:
            needed = log(len(TESTED) / POLICY.alpha)
            found[self.evidence(metric, going, UP, 1) >= needed] = ROLLED_BACK
        return found

    def decide_classically(self, going: np.ndarray) -> np.ndarray:
        """Return what the classical rule says, on failed requests per user."""
        canary, control = self.canary[going], self.control[going]
        failed = [counts[going] for counts in self.failed_requests]
        rates = failed[0] / np.maximum(canary, 1), failed[1] / np.maximum(control, 1)
        found = np.full(going.size, UNDECIDED)
        found[rates[0] <= CLASSICAL.promote_up_to * rates[1]] = PROMOTED
        found[rates[0] > CLASSICAL.roll_back_above * rates[1]] = ROLLED_BACK
        found[np.minimum(canary, control) < CLASSICAL.minimum_users] = UNDECIDED
        return found

    def counts(self, rollout: int) -> CohortCounts:
        """Return one rollout as the package's verdict takes it."""
        matured = Arms(int(self.canary[rollout]), int(self.control[rollout]))
        pairs = {}
        for metric in BY_MARGIN:
            worse, better = (int(counts[rollout]) for counts in self.discordant[metric])
            pairs[metric] = Pairs(worse, better, int(self.pairs[rollout]) - worse - better)
        bad = {
            metric: Arms(*(int(counts[rollout]) for counts in self.bad[metric]))
            for metric in TESTED
        }
        return CohortCounts(
            canary_share=self.case.share, enrolled=matured, matured=matured, bad=bad, pairs=pairs
        )


@dataclass(frozen=True)
class Result:
    """What became of the rollouts of a case; ``users`` of both arms when each was decided."""

    case: Case
    found: np.ndarray
    classical: np.ndarray
    users: np.ndarray


def simulate(case: Case) -> Result:
    """Run all rollouts of a case until they are decided or the users are used up."""
    rollouts = Rollouts(case, np.random.default_rng(SEED))
    found, classical = np.full(ROLLOUTS, UNDECIDED), np.full(ROLLOUTS, UNDECIDED)
    users, matured = np.full(ROLLOUTS, case.users), 0
    while matured < case.users:
        going = np.flatnonzero(found == UNDECIDED)
        if going.size == 0:
            break
        step = max(round(BAD_USERS_A_LOOK / case.bad_rate), round(matured * GROWTH_A_LOOK), 10)
        step = min(step, case.users - matured)
        matured += step
        rollouts.mature(going, step)
        open_classically = going[classical[going] == UNDECIDED]
        classical[open_classically] = rollouts.decide_classically(open_classically)
        found[going] = rollouts.decide(going)
        users[going[found[going] != UNDECIDED]] = matured
    _compare(rollouts, found)
    return Result(case, found, classical, users)


def _compare(rollouts: Rollouts, found: np.ndarray) -> None:
    """Have the package judge the last counts of some rollouts: it must decide the same."""
    at = Look(now=1.0, started_at=0.0, stage_started_at=0.0, stage=0, stages=1)
    expected = {ROLLED_BACK: Decision.ROLL_BACK, PROMOTED: Decision.PROMOTE}
    for rollout in range(min(COMPARED, ROLLOUTS)):
        told = judge(POLICY, [rollouts.counts(rollout)], at)
        wanted = expected.get(int(found[rollout]), Decision.CONTINUE)
        # The simulation takes the users of each arm as they fall: a split that looks wrong
        # stops one rollout in a thousand in the package, which this bench does not count.
        if told.decision not in (wanted, Decision.STOP):
            raise SystemExit(f"{rollouts.case}: rollout {rollout}: {told} is not {wanted}")


def upper_bound(events: int, trials: int, *, confidence: float = 0.999) -> float:
    """Return the one-sided upper Clopper-Pearson bound of a probability."""
    low, high = events / trials, 1.0
    if events == trials:
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if _at_most(events, trials, middle) > 1 - confidence else (low, middle)
        )
    return high


def _at_most(events: int, trials: int, probability: float) -> float:
    """Return P(X <= events) of a binomial."""
    total = 0.0
    for k in range(events + 1):
        ways = lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1)
        total += exp(ways + k * log(probability) + (trials - k) * log1p(-probability))
    return total


def _zeros() -> np.ndarray:
    return np.zeros(ROLLOUTS, dtype=np.int64)


def _log_mean(logs: list[np.ndarray]) -> np.ndarray:
    table = np.array(logs)
    highest = table.max(axis=0)
    return highest + np.log(np.exp(table - highest).mean(axis=0))


HEAD: Final = (
    "canary",
    "r",
    "bad users",
    "users to deadline",
    "rolled back",
    "promoted",
    "held",
    "wrong, upper bound",
    "allowed",
    "verdict",
    "median users",
    "classical: back / promoted",
)


def row(result: Result) -> tuple[str, ...]:
    """Return a case as a row of the table."""
    case, found = result.case, result.found
    back, promoted = (int((found == what).sum()) for what in (ROLLED_BACK, PROMOTED))
    wrong, allowed = (promoted, 0.002) if case.is_bad else (back, 0.01)
    bound = upper_bound(wrong, ROLLOUTS)
    held = ROLLOUTS - back - promoted
    classical = [(result.classical == what).mean() for what in (ROLLED_BACK, PROMOTED)]
    # The median rollout is one that the deadline ended, where most are held.
    median = np.median(result.users)
    return (
        case.name,
        f"{case.ratio:g}",
        f"{case.bad_rate:.1%}",
        f"{case.users:,}",
        f"{back / ROLLOUTS:.2%}",
        f"{promoted / ROLLOUTS:.2%}",
        f"{held / ROLLOUTS:.2%}",
        f"{bound:.3%}",
        f"{allowed:.1%}",
        "met" if bound <= allowed else "MISSED",
        "held" if held * 2 > ROLLOUTS else f"{median:,.0f}",
        f"{classical[0]:.1%} / {classical[1]:.1%}",
    )


def main() -> None:
    """Simulate every case and print the table."""
    rows = [HEAD]
    for case in CASES:
        began = time.process_time()
        rows.append(row(simulate(case)))
        seconds = time.process_time() - began
        print(f"{seconds:.0f} s: {' | '.join(rows[-1])}", file=sys.stderr, flush=True)
    widths = [max(len(one[column]) for one in rows) for column in range(len(HEAD))]
    rows.insert(1, tuple("-" * width for width in widths))
    for one in rows:
        cells = (cell.ljust(width) for cell, width in zip(one, widths, strict=True))
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
