"""Deployments: what is, was and is about to be active, per agent and environment.

``begin`` allots a generation and writes a pending deployment; whoever publishes then confirms or
withdraws it, in the same transaction where both stores are one database. A deployment that is
neither stays pending until somebody looks at what is published.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from retunable.config.diff import diff
from retunable.errors import ReleaseStoreError
from retunable.release.store import approvals, audit, policies, rollouts, versions
from retunable.release.store.approvals import NoSuchVersion
from retunable.release.store.audit import Record, stamp_of
from retunable.release.store.database import Transaction
from retunable.release.store.history import revoked_of, was_active
from retunable.release.store.moments import END, moment
from retunable.release.store.points import Point
from retunable.release.store.records import (
    ActivationAction,
    Approval,
    Deployment,
    DeploymentState,
    Version,
)

ALL: Final = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is to become active.

    ``version`` is None for a reset. ``published`` is the highest generation seen in the
    configuration store, envelope or tombstone, 0 for none. ``expect`` is the version that must be
    active still, 0 for none at all; None asks for nothing. ``revoke`` are checksums to add to those
    revoked already. ``parts`` go into the envelope, ``data`` is kept beside it for the publisher
    and shown by the audit.
    """

    agent: str
    environment: str
    action: ActivationAction
    version: int | None
    reason: str
    published: int
    expect: int | None = None
    revoke: tuple[str, ...] = ()
    parts: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Begun:
    """A generation is allotted and a pending deployment written; ``before`` was active."""

    deployment: Deployment
    before: Deployment | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another version is active, or about to be, than was expected; ``winner`` made it so."""

    expected: int
    winner: Deployment | None


@dataclass(frozen=True, slots=True)
class NotApproved:
    """The environment's policy asks for more people than have approved this checksum."""

    version: Version
    needed: int
    approvals: tuple[Approval, ...]


def begin(work: Transaction, intent: Intent) -> Begun | Conflict | NotApproved | NoSuchVersion:
    """Write down that a version is about to be published; nothing is written otherwise."""
    work.reached(Point.LOCKED)
    agent, environment = intent.agent, intent.environment
    before = active(work, agent, environment=environment)
    if (conflict := _conflict(work, intent)) is not None:
        return conflict
    chosen: Version | None = None
    if intent.version is not None:
        chosen = versions.version(work, agent, intent.version)
        if chosen is None:
            return approvals.no_such_version(work, agent, intent.version)
        if (refused := _not_approved(work, intent, chosen)) is not None:
            return refused
    newest = deployments(work, agent, environment=environment, at_most=1)
    generation = max(intent.published, newest[0].generation if newest else 0) + 1
    _write(work, intent, chosen, before=before, generation=generation)
    work.reached(Point.RECORDED)
    return Begun(at_generation(work, agent, environment, generation), before)


def confirm(work: Transaction, of: Deployment) -> Deployment:
    """Write down that a pending deployment is published; one that was confirmed stays as it is.

    Raises:
        ReleaseStoreError: it was withdrawn.
    """
    return _settle(work, of, "confirmed", reason=of.stamp.reason)


def withdraw(work: Transaction, of: Deployment, *, reason: str) -> Deployment:
    """Write down that a pending deployment was not published, and never will be.

    Raises:
        ReleaseStoreError: it was confirmed.
    """
    return _settle(work, of, "withdrawn", reason=reason)


def deployments(
    work: Transaction, agent: str, *, environment: str, at_most: int = ALL
) -> tuple[Deployment, ...]:
    """Return all deployments of an agent in an environment, the highest generation first."""
    rows = work.rows("deployments", agent=agent, environment=environment, at_most=at_most)
    return tuple(_deployment(row) for row in rows)


def active(
    work: Transaction, agent: str, *, environment: str, at: datetime = END
) -> Deployment | None:
    """Return what is active, or was at a moment: the highest generation confirmed by then.

    A reset is a deployment too, with version None.
    """
    row = work.first("active", agent=agent, environment=environment, until=at)
    return None if row is None else _deployment(row)


def pending(work: Transaction, agent: str, *, environment: str) -> tuple[Deployment, ...]:
    """Return what was begun and neither confirmed nor withdrawn, the lowest generation first."""
    rows = work.rows("pending", agent=agent, environment=environment)
    return tuple(_deployment(row) for row in rows)


def all_pending(work: Transaction) -> tuple[Deployment, ...]:
    """Return the same of every agent in every environment."""
    return tuple(_deployment(row) for row in work.rows("all_pending"))


def at_generation(work: Transaction, agent: str, environment: str, generation: int) -> Deployment:
    """Return one deployment as it is now.

    Raises:
        ReleaseStoreError: there is none of this generation.
    """
    row = work.first("deployment", agent=agent, environment=environment, generation=generation)
    if row is None:
        raise ReleaseStoreError(
            f"generation {generation} of {agent} in {environment} is not in this release store; "
            "name the store that it was begun in"
        )
    return _deployment(row)


def missing_approvals(
    work: Transaction, chosen: Version, *, environment: str
) -> NotApproved | None:
    """Tell what an environment's policy still asks of a version; None for nothing."""
    needed = policies.policy(work, chosen.agent, environment=environment).require_approval
    given = approvals.approvals(work, chosen, environment=environment)
    return NotApproved(chosen, needed, given) if len(given) < needed else None


def environments(work: Transaction, agent: str) -> tuple[str, ...]:
    """Return the environments in which anything of the agent was ever deployed."""
    return tuple(row.environment for row in work.rows("environments", agent=agent))


def _conflict(work: Transaction, intent: Intent) -> Conflict | None:
    if intent.expect is None:
        return None
    # One that is still being published counts: whoever expects what it replaces has lost to it.
    row = work.first("head", agent=intent.agent, environment=intent.environment)
    head = None if row is None else _deployment(row)
    found = head.version if head is not None and head.version is not None else 0
    return Conflict(intent.expect, head) if found != intent.expect else None


def _not_approved(work: Transaction, intent: Intent, chosen: Version) -> NotApproved | None:
    environment = intent.environment
    if (missing := missing_approvals(work, chosen, environment=environment)) is None:
        return None
    # An emergency does not wait: what ran here before may come back without being asked again.
    # Nor does what is changed beside an active version; a canary is asked for where it starts.
    if intent.action in ("rollback", "canary", "flag"):
        past = deployments(work, intent.agent, environment=environment)
        if was_active(past, checksum=chosen.checksum):
            return None
    return missing


def _write(
    work: Transaction,
    intent: Intent,
    chosen: Version | None,
    *,
    before: Deployment | None,
    generation: int,
) -> None:
    given = intent.parts.get("revoked", ())
    revoked = dict.fromkeys((*revoked_of(before), *given, *intent.revoke))
    # What is made active again is meant: left in, it would unpin at every model call.
    canary = intent.parts.get("canary") or {}
    for meant in (chosen.checksum if chosen else None, canary.get("checksum")):
        revoked.pop(meant, None)
    entry = audit.append(
        work,
        Record(
            action=intent.action,
            agent=intent.agent,
            environment=intent.environment,
            version=intent.version,
            old_version=before.version if before else None,
            checksum=chosen.checksum if chosen else None,
            reason=intent.reason,
            data={
                "generation": generation,
                "parts": {**intent.parts, "revoked": list(revoked)},
                "data": dict(intent.data),
                "fields": _changed_fields(work, intent, before, chosen),
            },
        ),
    )
    work.run(
        "insert_deployment",
        sequence=entry.stamp.sequence,
        agent=intent.agent,
        environment=intent.environment,
        generation=generation,
        version=intent.version,
        checksum=entry.checksum,
    )


def _changed_fields(
    work: Transaction, intent: Intent, before: Deployment | None, chosen: Version | None
) -> list[str]:
    """Return the fields that differ between the versions, and those whose override does."""
    if before is None or before.version is None or chosen is None:
        return []
    old = versions.version(work, before.agent, before.version)
    if old is None:
        return []
    changes = diff(versions.parsed_config(work, old), versions.parsed_config(work, chosen))
    held, wanted = before.parts.get("overrides", {}), intent.parts.get("overrides", {})
    overridden = [name for name in {**held, **wanted} if held.get(name) != wanted.get(name)]
    return list(dict.fromkeys([*(change.field for change in changes), *overridden]))


def _settle(
    work: Transaction, of: Deployment, state: DeploymentState, *, reason: str
) -> Deployment:
    now = at_generation(work, of.agent, of.environment, of.generation)
    if now.state == state:
        return now
    if now.state != "pending":
        raise ReleaseStoreError(
            f"generation {of.generation} of {of.agent} in {of.environment} is {now.state} and "
            f"cannot be {state}; look at: retune status {of.agent}"
        )
    entry = audit.append(
        work,
        Record(
            action="confirm" if state == "confirmed" else "withdraw",
            agent=of.agent,
            environment=of.environment,
            version=of.version,
            checksum=of.checksum,
            reason=reason,
            data={"generation": of.generation, "deployment": now.stamp.sequence},
        ),
    )
    work.run(
        "insert_outcome",
        sequence=entry.stamp.sequence,
        deployment=now.stamp.sequence,
        outcome=state,
    )
    if state == "confirmed":
        rollouts.follow(work, now)
    work.reached(Point.SETTLING)
    return at_generation(work, of.agent, of.environment, of.generation)


def _deployment(row: Any) -> Deployment:
    data = json.loads(row.data)
    return Deployment(
        stamp=stamp_of(row),
        action=row.action,
        agent=row.agent,
        environment=row.environment,
        generation=row.generation,
        version=row.version,
        checksum=row.checksum,
        state=row.state,
        settled_at=None if row.settled_at is None else moment(row.settled_at),
        parts=data["parts"],
        data=data["data"],
    )
