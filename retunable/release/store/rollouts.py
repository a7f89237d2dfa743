"""Rollouts: one at most for each agent and environment, and what was decided of each, append-only.

A rollout follows what is published of it, in the transaction that confirms the publication: it
begins, grows and ends with the envelope. Its plan and every step's numbers stand in the audit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from retunable.release.store import audit
from retunable.release.store.audit import Record, stamp_of
from retunable.release.store.database import Transaction
from retunable.release.store.parts import Canary, Parts
from retunable.release.store.records import Deployment, Stamp

RolloutState = Literal["running", "paused", "held", "promoted", "rolled back", "stopped", "aborted"]
"""The last four are ends. ``paused`` and ``held`` never grow; they still go back by themselves."""

ENDS: Final = frozenset({"promoted", "rolled back", "stopped", "aborted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A rollout as it is now; ``plan`` is what it was started with.

    ``step`` is the audit entry of the newest step, or of the start: it changes with every step.
    """

    stamp: Stamp
    id: str
    agent: str
    environment: str
    version: int
    checksum: str
    plan: Mapping[str, Any]
    state: RolloutState
    stage: int
    step: int

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.state not in ENDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One decision; ``numbers`` are what it was made on."""

    stamp: Stamp
    state: RolloutState
    stage: int
    numbers: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A rollout that is to begin."""

    id: str
    agent: str
    environment: str
    version: int
    checksum: str
    reason: str
    plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlreadyLive:
    """Another rollout of this agent in this environment goes on."""

    rollout: Rollout


def begin(work: Transaction, draft: Draft) -> Rollout | AlreadyLive:
    """Write a rollout down, running at its first stage; nothing is written where one goes on."""
    other = live(work, draft.agent, environment=draft.environment)
    if other is not None:
        return AlreadyLive(other)
    entry = audit.append(
        work,
        Record(
            action="rollout",
            agent=draft.agent,
            environment=draft.environment,
            version=draft.version,
            checksum=draft.checksum,
            reason=draft.reason,
            data={"id": draft.id, "plan": dict(draft.plan)},
        ),
    )
    work.run(
        "insert_rollout",
        sequence=entry.stamp.sequence,
        id=draft.id,
        agent=draft.agent,
        environment=draft.environment,
        version=draft.version,
        checksum=draft.checksum,
    )
    [begun] = _rollouts(work, id=draft.id)
    return begun


def take_step(
    work: Transaction,
    of: Rollout,
    *,
    state: RolloutState,
    reason: str,
    stage: int | None = None,
    numbers: Mapping[str, Any] | None = None,
) -> Rollout:
    """Write a decision down and return the rollout after it.

    Raises:
        ReleaseStoreError: it has ended.
    """
    stage = of.stage if stage is None else stage
    entry = audit.append(
        work,
        Record(
            action="decide",
            agent=of.agent,
            environment=of.environment,
            version=of.version,
            checksum=of.checksum,
            reason=reason,
            data={
                "rollout": of.id,
                "state": state,
                "stage": stage,
                "numbers": dict(numbers or {}),
            },
        ),
    )
    work.run(
        "insert_rollout_step",
        sequence=entry.stamp.sequence,
        rollout=of.id,
        state=state,
        stage=stage,
    )
    [now] = _rollouts(work, id=of.id)
    return now


def follow(work: Transaction, deployment: Deployment) -> None:
    """Write down what a deployment that is published now means for its rollout.

    ``deployment.data["rollout"]`` may hold what was told of it: ``begin`` (a plan), or ``state``,
    ``reason`` and ``numbers``. An end that nobody told of is an abort, or a promotion by hand.
    """
    told = deployment.data.get("rollout", {})
    parts = Parts.of(deployment)
    if "begin" in told and parts.canary is not None:
        begin(work, _draft(deployment, parts.canary, told))
    now = live(work, deployment.agent, environment=deployment.environment)
    if now is None:
        return
    said = {"reason": told.get("reason", deployment.stamp.reason), "numbers": told.get("numbers")}
    if parts.rollout is None or parts.rollout["id"] != now.id:
        by_hand: RolloutState = "promoted" if deployment.version == now.version else "aborted"
        take_step(work, now, state=told.get("state", by_hand), **said)
    elif parts.rollout["stage"] != now.stage:
        take_step(work, now, state=now.state, stage=parts.rollout["stage"], **said)


def _draft(deployment: Deployment, canary: Canary, told: Mapping[str, Any]) -> Draft:
    return Draft(
        id=told["id"],
        agent=deployment.agent,
        environment=deployment.environment,
        version=canary.version,
        checksum=canary.checksum,
        reason=deployment.stamp.reason,
        plan=told["begin"],
    )


def rollout(work: Transaction, id: str) -> Rollout | None:  # noqa: A002 - its name everywhere
    """Return one rollout as it is now."""
    found = _rollouts(work, id=id)
    return found[0] if found else None


def rollouts(work: Transaction, agent: str, *, environment: str) -> tuple[Rollout, ...]:
    """Return all rollouts of an agent in an environment, the newest first."""
    return _rollouts(work, agent=agent, environment=environment)


def live(work: Transaction, agent: str, *, environment: str) -> Rollout | None:
    """Return the rollout that goes on."""
    newest = _rollouts(work, agent=agent, environment=environment)[:1]
    return newest[0] if newest and newest[0].is_live else None


def all_live(work: Transaction) -> tuple[Rollout, ...]:
    """Return every rollout that goes on."""
    return tuple(one for one in _rollouts(work) if one.is_live)


def steps(work: Transaction, id: str) -> tuple[Step, ...]:  # noqa: A002
    """Return what was decided of a rollout, the oldest first."""
    return tuple(
        Step(
            stamp=stamp_of(row),
            state=row.state,
            stage=row.stage,
            numbers=json.loads(row.data)["numbers"],
        )
        for row in work.rows("rollout_steps", id=id)
    )


def _rollouts(
    work: Transaction,
    *,
    id: str | None = None,  # noqa: A002
    agent: str | None = None,
    environment: str | None = None,
) -> tuple[Rollout, ...]:
    rows = work.rows("rollouts", id=id, agent=agent, environment=environment)
    return tuple(
        Rollout(
            stamp=stamp_of(row),
            id=row.id,
            agent=row.agent,
            environment=row.environment,
            version=row.version,
            checksum=row.checksum,
            plan=json.loads(row.data)["plan"],
            state=row.state,
            stage=row.stage,
            step=row.step,
        )
        for row in rows
    )
