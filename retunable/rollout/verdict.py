"""What to do with a canary now: a function of the counts, the policy and the time.

The order of the questions is the order of harm. Arms of the wrong size spoil every other number;
a proven worse canary goes back, whatever else; nothing ships without evidence for all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import log
from typing import Final, assert_never

from retunable.rollout.balance import log_imbalance
from retunable.rollout.evidence import MetricEvidence, weigh
from retunable.rollout.metrics import Metric
from retunable.rollout.policy import Classical, Pace, Policy, Sequential, share_of_alpha
from retunable.rollout.tally import Arms, CohortCounts

BALANCE_ALPHA: Final = 0.001


class Decision(Enum):
    """What to do with a canary.

    ``STOP`` takes the canary's users back as ``ROLL_BACK`` does, but says that the comparison
    is broken and nothing of the version. ``HOLD`` is final: inconclusive never ships.
    """

    ROLL_BACK = "roll back"
    STOP = "stop"
    HOLD = "hold"
    CONTINUE = "continue"
    GROW = "grow"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """When a verdict is asked for; times in seconds since the epoch.

    ``stage`` is the index of the stage of now among ``stages``. ``restarts`` counts how often
    the evidence was discarded.
    """

    now: float
    started_at: float
    stage_started_at: float
    stage: int
    stages: int
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A decision, why, and the numbers that it was made on (logarithms of evidence)."""

    decision: Decision
    reason: str
    matured: Arms
    evidence: tuple[MetricEvidence, ...] = ()
    split: float = 0.0
    missing: float = 0.0
    alarms: tuple[Metric, ...] = ()


def judge(policy: Policy, counts: Sequence[CohortCounts], look: Look) -> Verdict:
    """Return the verdict of now over all cohorts enrolled so far."""
    match policy:
        case Sequential():
            return _judge_sequentially(policy, counts, look)
        case Classical():
            return _judge_classically(policy, counts, look)
        case _ as unreachable:
            assert_never(unreachable)


def _judge_sequentially(policy: Sequential, counts: Sequence[CohortCounts], look: Look) -> Verdict:
    evidence = weigh(policy, counts, restarts=look.restarts)
    split = log_imbalance((cohort.canary_share, cohort.enrolled) for cohort in counts)
    missing = log_imbalance((cohort.canary_share, cohort.missing) for cohort in counts)
    needed = -log(BALANCE_ALPHA * share_of_alpha(look.restarts))
    matured = _matured(counts)
    worse = next((one for one in evidence if one.rolls_back and one.is_worse), None)
    if split >= needed:
        decision, reason = Decision.STOP, "the arms do not have the sizes that the split gives"
    elif worse is not None:
        decision, reason = Decision.ROLL_BACK, f"{worse.metric}: more users on the canary"
    elif missing >= needed:
        decision, reason = Decision.STOP, "outcomes are missing on one arm more than on the other"
    else:
        unproven = [one.metric for one in evidence if not one.is_no_worse]
        much = [one.metric for one in evidence if not one.may_grow]
        decision, reason = _go_on(policy.pace, counts, look, unproven=unproven, much=much)
    return Verdict(
        decision=decision,
        reason=reason,
        matured=matured,
        evidence=evidence,
        split=split,
        missing=missing,
        alarms=tuple(one.metric for one in evidence if not one.rolls_back and one.is_worse),
    )


def _go_on(
    pace: Pace,
    counts: Sequence[CohortCounts],
    look: Look,
    *,
    unproven: Sequence[Metric],
    much: Sequence[Metric],
) -> tuple[Decision, str]:
    """Decide for a canary that nothing speaks against."""
    last = look.stage == look.stages - 1
    waits = _waits(pace, counts, look)
    users = _matured(counts).canary
    if last and not waits and not unproven and users >= pace.canary_users:
        return Decision.PROMOTE, "every judged metric has its evidence"
    if look.now - look.started_at >= pace.deadline_seconds:
        return Decision.HOLD, "the deadline has passed without evidence for a promotion"
    if waits:
        return Decision.CONTINUE, waits
    if last and users < pace.canary_users:
        return Decision.CONTINUE, f"{users} of {pace.canary_users} canary users have matured"
    if last:
        return Decision.CONTINUE, f"no evidence yet for {', '.join(unproven)}"
    if much:
        return Decision.CONTINUE, f"three times as bad is not excluded yet for {', '.join(much)}"
    return Decision.GROW, "the stage has its users, its time and its evidence"


def _waits(pace: Pace, counts: Sequence[CohortCounts], look: Look) -> str | None:
    """Return what the stage of now still waits for; one that enrols nobody waits for time."""
    if look.now - look.stage_started_at < pace.stage_seconds:
        return f"the stage has lasted less than its {pace.stage_seconds:g} s"
    if look.stage < len(counts):
        users = counts[look.stage].matured.canary
        if users < pace.stage_users:
            return f"{users} of the stage's {pace.stage_users} canary users have matured"
    return None


def _judge_classically(policy: Classical, counts: Sequence[CohortCounts], look: Look) -> Verdict:
    matured = _matured(counts)
    bad = [cohort.bad_users(Metric.ERROR) for cohort in counts]
    canary = sum(arms.canary for arms in bad) / max(matured.canary, 1)
    control = sum(arms.control for arms in bad) / max(matured.control, 1)
    pace = policy.pace
    if min(matured.canary, matured.control) < policy.minimum_users:
        late = look.now - look.started_at >= pace.deadline_seconds
        decision = Decision.HOLD if late else Decision.CONTINUE
        reason = f"fewer than {policy.minimum_users} users in an arm have matured"
    elif canary > policy.roll_back_above * control:
        decision, reason = Decision.ROLL_BACK, f"error rate {canary:.2%} beside {control:.2%}"
    else:
        allowed = canary <= policy.promote_up_to * control
        unproven = () if allowed else (Metric.ERROR,)
        decision, reason = _go_on(pace, counts, look, unproven=unproven, much=unproven)
    return Verdict(decision=decision, reason=reason, matured=matured)


def _matured(counts: Sequence[CohortCounts]) -> Arms:
    return Arms(
        sum(cohort.matured.canary for cohort in counts),
        sum(cohort.matured.control for cohort in counts),
    )
