"""One rollout's analysis in memory, fed with the release store's rows in the order of their arrival.

Before a row is seen, whoever had matured when it arrived is decided: so a controller that starts
anew decides every user as the one before it did. Writers of rows hold the store's lock, and so does
the last reading: what it does not see arrives later than its time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from retunable.config.stages import Place, Rollout, parse_rollout
from retunable.release.store import rollouts, run_events
from retunable.release.store.database import Transaction
from retunable.release.store.moments import moment
from retunable.release.store.release_store import ReleaseStore
from retunable.release.store.rollouts import Rollout as RolloutRow
from retunable.release.store.rollouts import Step
from retunable.rollout.analysis import Analysis, Basis
from retunable.rollout.events import Event, Exposure, Outcome, Rating
from retunable.rollout.metrics import Limits
from retunable.rollout.policy_document import parse_policy
from retunable.rollout.verdict import Verdict

PAGE: Final = 5_000


class Follower:
    """Follows one rollout; not for two threads at once."""

    def __init__(self, row: RolloutRow) -> None:
        plan = row.plan
        self.share = _share(plan["share"])
        self.analysis = Analysis(
            parse_policy(plan["policy"]),
            self.share.cohorts,
            _basis(plan["basis"]),
            limits=Limits(**plan["limits"]),
        )
        self.seen = 0
        self._id = row.id
        self._restarts = 0

    def catch_up(self, store: ReleaseStore) -> None:
        """Read what came, a page at a time; the last rows are left to ``judge``."""
        while True:
            with store.snapshot() as work:
                if self._read(work, rollouts.steps(work, self._id)) < PAGE:
                    return

    def judge(self, work: Transaction, row: RolloutRow) -> Verdict:
        """Return the verdict of this moment; ``work`` holds the store's lock."""
        steps = rollouts.steps(work, self._id)
        while self._read(work, steps) == PAGE:
            pass
        self._restart(steps, up_to=None)
        return self.analysis.judge(
            now=work.now.timestamp(),
            started_at=row.stamp.at.timestamp(),
            stage_started_at=_stage_began(row, steps),
            stage=row.stage,
            stages=len(self.share.stages),
        )

    def _read(self, work: Transaction, steps: tuple[Step, ...]) -> int:
        rows = run_events.run_events(work, self._id, after=self.seen, at_most=PAGE)
        for row in rows:
            self._restart(steps, up_to=row.arrived)
            self.analysis.mature(moment(row.arrived_at).timestamp())
            if (event := _event(row)) is not None:
                self.analysis.see(event)
            self.seen = row.arrived
        return len(rows)

    def _restart(self, steps: tuple[Step, ...], *, up_to: int | None) -> None:
        """Start anew where a step says that something else was compared from a row on."""
        restarts = [step for step in steps if "basis" in step.numbers][self._restarts :]
        for step in restarts:
            if up_to is not None and step.numbers["after"] >= up_to:
                return
            self.analysis.mature(step.stamp.at.timestamp())
            self.analysis.rebase(_basis(step.numbers["basis"]))
            self._restarts += 1


def _share(value: Mapping[str, Any]) -> Rollout:
    share = parse_rollout({**value, "stage": 0})
    if share is None:
        raise AssertionError("a rollout's plan has its share")
    return share


def _basis(value: Mapping[str, Any]) -> Basis:
    return Basis(**{**value, "overrides": tuple(value["overrides"])})


def _stage_began(row: RolloutRow, steps: tuple[Step, ...]) -> float:
    began, stage = row.stamp.at, 0
    for step in steps:
        if step.stage != stage:
            began, stage = step.stamp.at, step.stage
    return began.timestamp()


def _event(row: Any) -> Event | None:
    exposure = Exposure(
        run=row.run,
        user=row.user_hmac,
        place=_place(row),
        started_at=row.started_ms / 1000,
        pinned_before=bool(row.pinned),
        tool_code=row.tool_code or "",
    )
    match row.kind:
        case "exposure":
            return exposure
        case "outcome":
            return Outcome(
                exposure=exposure,
                failed=row.state == "failed",
                guardrail_failures=row.guardrail_failures or 0,
                limit_hit=bool(row.limit_hit),
                latency_seconds=(row.latency_ms or 0) / 1000,
                cost=row.cost,
            )
        case "feedback" if row.rating is not None:
            return Rating(exposure=exposure, liked=row.rating > 0)
        case _:
            return None


def _place(row: Any) -> Place | None:
    """Return where the envelope that the run began on put its user.

    What the split gave and what the run got differ for a revoked canary: that compares nothing.
    """
    if row.cohort is None or (row.arm == "canary") != (row.variant == "canary"):
        return None
    return Place(row.cohort, "canary" if row.arm == "canary" else "control")
