"""What to do with a rollout now: the verdict, an alarm's word and its state, as one move or none.

A paused or held rollout still goes back by itself, and never grows. What an alarm cannot be asked
about does not grow either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, assert_never

from retunable.control.rollouts.prometheus import Ringing
from retunable.release.publishing.rollouts import Move
from retunable.release.store.rollouts import Rollout
from retunable.rollout.analysis import Analysis, Basis
from retunable.rollout.evidence import MetricEvidence
from retunable.rollout.policy_document import Alarm
from retunable.rollout.verdict import Decision, Verdict


@dataclass(frozen=True, slots=True)
class Heard:
    """An alarm, and what it says now."""

    alarm: Alarm
    says: Ringing


def decide(
    row: Rollout, verdict: Verdict, heard: Sequence[Heard], numbers: Mapping[str, Any]
) -> Move | None:
    """Return the move to make; None where there is none."""
    fires = [one.alarm for one in heard if one.says is Ringing.FIRES]
    back = next((alarm for alarm in fires if alarm.then == "roll back"), None)
    hold = next((alarm for alarm in fires if alarm.then == "hold"), None)

    def move(state: Any, reason: str, *, stage: int | None = None) -> Move:
        return Move(
            rollout=row.id,
            state=state,
            reason=reason,
            based_on=row.step,
            stage=stage,
            numbers=numbers,
        )

    if verdict.decision is Decision.ROLL_BACK:
        return move("rolled back", verdict.reason)
    if verdict.decision is Decision.STOP:
        return move("stopped", verdict.reason)
    if back is not None:
        return move("rolled back", f"the alarm {back.query} fires")
    if row.state != "running":
        return None
    if hold is not None:
        return move("held", f"the alarm {hold.query} fires")
    may_grow = all(one.says is Ringing.SILENT for one in heard)
    match verdict.decision:
        case Decision.HOLD:
            return move("held", verdict.reason)
        case Decision.GROW if may_grow:
            return move("running", verdict.reason, stage=row.stage + 1)
        case Decision.PROMOTE if may_grow:
            return move("promoted", verdict.reason)
        case Decision.GROW | Decision.PROMOTE | Decision.CONTINUE:
            return None
        case _:
            assert_never(verdict.decision)


def restart(row: Rollout, basis: Basis, *, after: int) -> Move:
    """Return the move that discards the evidence, because something else is compared now."""
    return Move(
        rollout=row.id,
        state=row.state,
        reason="what is compared has changed: the evidence begins anew",
        based_on=row.step,
        numbers={"basis": basis.to_json(), "after": after},
    )


def verdict_json(
    verdict: Verdict, analysis: Analysis, heard: Sequence[Heard] = ()
) -> dict[str, Any]:
    """Return a verdict with its numbers, as the audit and ``status`` show it."""
    return {
        "decision": verdict.decision.value,
        "reason": verdict.reason,
        "matured": asdict(verdict.matured),
        "split": verdict.split,
        "missing": verdict.missing,
        "alarms": [metric.value for metric in verdict.alarms],
        "asked": {one.alarm.query: one.says.value for one in heard},
        "metrics": [_metric(one) for one in verdict.evidence],
        "cohorts": [
            {
                "canary_share": cohort.canary_share,
                "enrolled": asdict(cohort.enrolled),
                "matured": asdict(cohort.matured),
                "missing": asdict(cohort.missing),
            }
            for cohort in analysis.counts
        ],
        "uncounted": asdict(analysis.uncounted),
    }


def _metric(one: MetricEvidence) -> dict[str, Any]:
    return {
        "metric": one.metric.value,
        "bad": asdict(one.bad),
        "worse": one.worse,
        "worse_needed": one.worse_needed,
        "no_worse": one.no_worse,
        "no_worse_needed": one.no_worse_needed,
        "ratio_low": one.ratio.low,
        "ratio_high": one.ratio.high if isfinite(one.ratio.high) else None,
    }
