"""Policies: what an environment asks before a version becomes active there, versioned themselves.

``require_approval`` is honoured by ``deployments.begin``; ``require_evaluation`` is kept and not
honoured yet, which ``PolicySet`` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from retunable.release.store import audit
from retunable.release.store.audit import Record, stamp_of
from retunable.release.store.database import Transaction
from retunable.release.store.records import Policy

MAX_APPROVALS: Final = 100


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The policy stands; ``changed`` is False where it stood before, and no revision was made."""

    policy: Policy
    changed: bool
    not_honoured: tuple[str, ...]


def set_policy(
    work: Transaction,
    agent: str,
    *,
    environment: str,
    reason: str,
    require_approval: int = 0,
    require_evaluation: bool = False,
) -> PolicySet:
    """Write the rules of one agent in one environment as a new revision.

    ``require_approval`` is how many people other than the author must approve, 0 to 100.
    """
    if not 0 <= require_approval <= MAX_APPROVALS:
        raise ValueError(f"require_approval must be 0 to {MAX_APPROVALS}, got {require_approval}")
    old = policy(work, agent, environment=environment)
    unhonoured = ("require_evaluation",) if require_evaluation else ()
    rules = {"require_approval": require_approval, "require_evaluation": require_evaluation}
    if old.revision and rules == _rules(old):
        return PolicySet(old, changed=False, not_honoured=unhonoured)
    revision = old.revision + 1
    entry = audit.append(
        work,
        Record(
            action="policy",
            agent=agent,
            environment=environment,
            reason=reason,
            data={"revision": revision, **rules, "old": _rules(old)},
        ),
    )
    work.run(
        "insert_policy",
        sequence=entry.stamp.sequence,
        agent=agent,
        environment=environment,
        revision=revision,
        **rules,
    )
    new = policy(work, agent, environment=environment)
    return PolicySet(new, changed=True, not_honoured=unhonoured)


def policy(work: Transaction, agent: str, *, environment: str) -> Policy:
    """Return the rules that hold now."""
    newest = _policies(work, agent, environment, at_most=1)
    return newest[0] if newest else Policy(agent=agent, environment=environment)


def policies(work: Transaction, agent: str, *, environment: str) -> tuple[Policy, ...]:
    """Return every revision, newest first."""
    return _policies(work, agent, environment, at_most=2**53 - 1)


def _policies(
    work: Transaction, agent: str, environment: str, *, at_most: int
) -> tuple[Policy, ...]:
    rows = work.rows("policies", agent=agent, environment=environment, at_most=at_most)
    return tuple(_policy(row) for row in rows)


def _policy(row: Any) -> Policy:
    return Policy(
        stamp=stamp_of(row),
        agent=row.agent,
        environment=row.environment,
        revision=row.revision,
        require_approval=row.require_approval,
        require_evaluation=bool(row.require_evaluation),
    )


def _rules(of: Policy) -> dict[str, Any]:
    return {
        "require_approval": of.require_approval,
        "require_evaluation": of.require_evaluation,
    }
