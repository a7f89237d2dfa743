"""Approvals: who said yes to exactly one checksum in one environment, the author never.

An approval counts for the version and the environment that it names, and for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retunable.release.store import audit, versions
from retunable.release.store.audit import Record, stamp_of
from retunable.release.store.database import Transaction
from retunable.release.store.records import Approval, Version


@dataclass(frozen=True, slots=True)
class Approved:
    """The approval counts; ``again`` where this person had given it before."""

    approval: Approval
    again: bool = False


@dataclass(frozen=True, slots=True)
class OwnVersion:
    """Nobody approves what they wrote; somebody else has to."""

    version: Version


@dataclass(frozen=True, slots=True)
class NoSuchVersion:
    """The agent has no version of this number; ``latest`` is its highest, 0 for none."""

    agent: str
    number: int
    latest: int


def approve(
    work: Transaction, agent: str, number: int, *, environment: str, reason: str
) -> Approved | OwnVersion | NoSuchVersion:
    """Approve a version for an environment as the person who is logged in."""
    found = versions.version(work, agent, number)
    if found is None:
        return no_such_version(work, agent, number)
    if found.stamp.actor == work.actor:
        return OwnVersion(found)
    for approval in approvals(work, found, environment=environment):
        if approval.stamp.actor == work.actor:
            return Approved(approval, again=True)
    detail = {"approver": work.actor}
    entry = audit.append(
        work,
        Record(
            action="approve",
            agent=agent,
            environment=environment,
            version=number,
            checksum=found.checksum,
            reason=reason,
            data=detail,
        ),
    )
    work.run(
        "insert_approval",
        sequence=entry.stamp.sequence,
        agent=agent,
        environment=environment,
        version=number,
        checksum=found.checksum,
        **detail,
    )
    return Approved(approvals(work, found, environment=environment)[-1])


def approvals(work: Transaction, of: Version, *, environment: str) -> tuple[Approval, ...]:
    """Return what counts for a version in an environment: its own checksum, not its author's."""
    rows = work.rows("approvals", agent=of.agent, environment=environment, version=of.number)
    found = (_approval(row) for row in rows)
    return tuple(
        approval
        for approval in found
        if approval.checksum == of.checksum and approval.stamp.actor != of.stamp.actor
    )


def no_such_version(work: Transaction, agent: str, number: int) -> NoSuchVersion:
    """Say that a number is missing, and which is the highest."""
    newest = versions.latest(work, agent)
    return NoSuchVersion(agent, number, newest.number if newest else 0)


def _approval(row: Any) -> Approval:
    return Approval(
        stamp=stamp_of(row),
        agent=row.agent,
        environment=row.environment,
        version=row.version,
        checksum=row.checksum,
    )
