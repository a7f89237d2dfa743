"""One rollout's analysis in memory, fed with the release store's rows in the order of their arrival.

Before a row is seen, whoever had matured when it arrived is decided: so a controller that starts
anew decides every user as the one before it did. Writers of rows hold the store's lock, and so does
the last reading: what it does not see arrives later than its time.

It starts from the checkpoint of the one before it, which is kept in the transaction of a judgement.
Users who were decided by then are not in it: the rows are asked for those who come again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from retunable.config.stages import Place, Rollout, parse_rollout
from retunable.release.store import checkpoints, rollouts, run_events
from retunable.release.store.checkpoints import Checkpoint
from retunable.release.store.database import Transaction
from retunable.release.store.moments import moment
from retunable.release.store.release_store import ReleaseStore
from retunable.release.store.rollouts import Rollout as RolloutRow
from retunable.release.store.rollouts import Step
from retunable.rollout.analysis import FORM, Analysis, Basis
from retunable.rollout.events import Event, Exposure, Outcome, Rating
from retunable.rollout.metrics import Limits
from retunable.rollout.policy_document import parse_policy
from retunable.rollout.verdict import Verdict

PAGE: Final = 5_000
KEEP_EVERY: Final = 50_000
"""A checkpoint is kept after so many rows: a second's work for one that saves reading them again."""


class Follower:
    """Follows one rollout; not for two threads at once."""

    def __init__(self, row: RolloutRow) -> None:
        plan = row.plan
        self.share = _share(plan["share"])
        self.analysis = Analysis(
            parse_policy(plan["policy"]),
            self.share.cohorts,
            Basis.from_json(plan["basis"]),
            limits=Limits(**plan["limits"]),
        )
        self.seen = 0
        self.rows_read = 0
        self._id = row.id
        self._restarts = 0
        self._anew_after = 0
        self._resumed_at: int | None = None
        self._unkept = 0

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

    def keep(self, work: Transaction) -> None:
        """Keep where this stands, now and then; ``work`` is that of a judgement."""
        if self._unkept < KEEP_EVERY:
            return
        data = {"restarts": self._restarts, "analysis": self.analysis.to_json()}
        checkpoints.keep(work, self._id, Checkpoint(self.seen, data))
        self._unkept = 0

    def _read(self, work: Transaction, steps: tuple[Step, ...]) -> int:
        if self._resumed_at is None:
            self._resume(work, steps)
        rows = run_events.run_events(work, self._id, after=self.seen, at_most=PAGE)
        self._recall(work, {row.user_hmac for row in rows} - {None})
        for row in rows:
            self._restart(steps, up_to=row.arrived)
            self.analysis.mature(moment(row.arrived_at).timestamp())
            if (event := _event(row, self.share)) is not None:
                self.analysis.see(event)
            self.seen = row.arrived
        self._unkept += len(rows)
        self.rows_read += len(rows)
        return len(rows)

    def _resume(self, work: Transaction, steps: tuple[Step, ...]) -> None:
        """Go on from the checkpoint; from the first row where there is none that fits."""
        kept = checkpoints.checkpoint(work, self._id)
        if kept is not None and self._fits(kept, steps):
            self.analysis.resume(kept.data["analysis"])
            self.seen, self._restarts = kept.arrived, kept.data["restarts"]
            if self._restarts:
                self._anew_after = _restarts(steps)[self._restarts - 1].numbers["after"]
        self._resumed_at = self.seen

    def _fits(self, kept: Checkpoint, steps: tuple[Step, ...]) -> bool:
        """Tell whether a checkpoint is of this form, and of the basis that the steps say."""
        analysis, number, restarts = kept.data["analysis"], kept.data["restarts"], _restarts(steps)
        if analysis["form"] != FORM or number > len(restarts):
            return False
        said = self.analysis.basis
        if number:
            said = Basis.from_json(restarts[number - 1].numbers["basis"])
        found = Basis.from_json(analysis["basis"])
        return said in (found, replace(found, tools=None))  # the first run says which tools

    def _recall(self, work: Transaction, users: set[str]) -> None:
        """Tell the analysis who was met before it resumed, of those who come now."""
        unknown = {user for user in users if not self.analysis.knows(user)}
        if not self._resumed_at or not unknown:
            return
        found = run_events.met(
            work,
            self._id,
            unknown,
            up_to=self._resumed_at,
            cohorts=len(self.share.cohorts),
        )
        tools = self.analysis.basis.tools
        earlier = {row.user_hmac for row in found if row.first <= self._anew_after}
        compared = {row.user_hmac for row in found if (row.tool_code or "") == tools}
        self.analysis.recall(decided=compared - earlier, earlier=earlier)

    def _restart(self, steps: tuple[Step, ...], *, up_to: int | None) -> None:
        """Start anew where a step says that something else was compared from a row on."""
        for step in _restarts(steps)[self._restarts :]:
            if up_to is not None and step.numbers["after"] >= up_to:
                return
            self.analysis.mature(step.stamp.at.timestamp())
            self.analysis.rebase(Basis.from_json(step.numbers["basis"]))
            self._anew_after = step.numbers["after"]
            self._restarts += 1


def _share(value: Mapping[str, Any]) -> Rollout:
    share = parse_rollout({**value, "stage": 0})
    if share is None:
        raise AssertionError("a rollout's plan has its share")
    return share


def _restarts(steps: tuple[Step, ...]) -> list[Step]:
    return [step for step in steps if "basis" in step.numbers]


def _stage_began(row: RolloutRow, steps: tuple[Step, ...]) -> float:
    began, stage = row.stamp.at, 0
    for step in steps:
        if step.stage != stage:
            began, stage = step.stamp.at, step.stage
    return began.timestamp()


def _event(row: Any, share: Rollout) -> Event | None:
    exposure = Exposure(
        run=row.run,
        user=row.user_hmac,
        place=_place(row, share),
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


def _place(row: Any, share: Rollout) -> Place | None:
    """Return where the envelope that the run began on put its user.

    What the split gave and what the run got differ for a revoked canary: that compares nothing.
    Nor does a cohort that the rollout has not, whoever told of it.
    """
    if row.cohort is None or row.cohort >= len(share.cohorts):
        return None
    if (row.arm == "canary") != (row.variant == "canary"):
        return None
    return Place(row.cohort, "canary" if row.arm == "canary" else "control")
