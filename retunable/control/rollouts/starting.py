"""What a rollout is started with: its plan, and what last week's runs say about how it will go.

Whether it may start at all is asked again where it is published.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf, isfinite
from typing import Any, Final

from retunable.config.rejection import Refused
from retunable.config.stages import parse_rollout
from retunable.control.rollouts.controller import LOOK_SECONDS, flags_checksum
from retunable.errors import ConfigurationError
from retunable.release.publishing.outcomes import NotActive, Refusal
from retunable.release.publishing.rollouts import Start
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.store import approvals, deployments, run_events, versions
from retunable.release.store.parts import Parts
from retunable.release.store.run_events import Usage
from retunable.rollout.metrics import Metric
from retunable.rollout.policy import DAY_SECONDS, WARNING, Classical, Policy, Sequential
from retunable.rollout.policy_document import Alarm, policy_json
from retunable.rollout.sizing import Estimate, estimate

WEEK: Final = timedelta(days=7)
ABOVE_P95: Final = 0.05
"""Slow and costly is what lies above the 95th percentile of stable's runs."""
HARDLY_JUDGED: Final = 0.001
"""Below this rate of errors a ratio needs tens of thousands of users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asks for; ``stages`` and ``control_percent`` are percents of the users."""

    version: int
    stages: tuple[float, ...]
    policy: Policy
    reason: str
    control_percent: float | None = None
    alarms: tuple[Alarm, ...] = ()
    look_seconds: float = LOOK_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A rollout ready to start, what it needs, and what a person should know before."""

    start: Start
    estimate: Estimate
    usage: Usage
    notes: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = field(default=())


def prepare(plane: ControlPlane, site: Site, request: Request) -> Prepared | Refusal:
    """Plan a rollout; writes nothing.

    Raises:
        ConfigurationError: the stages are none, or a judged metric has nothing to be judged by.
        ReleaseStoreError: the release store is away.
    """
    share = {
        "id": uuid.uuid4().hex,
        "salt": secrets.token_hex(8),
        "stages": list(request.stages),
        "control_percent": request.control_percent,
    }
    cohorts = _cohorts(share)
    with plane.store.snapshot() as work:
        chosen = versions.version(work, site.agent, request.version)
        active = deployments.active(work, site.agent, environment=site.environment)
        usage = run_events.usage(
            work, site.agent, environment=site.environment, since=work.now - WEEK
        )
        if chosen is None:
            return approvals.no_such_version(work, site.agent, request.version)
    if active is None or active.version is None:
        return NotActive(site.environment)
    limits = _limits(usage, request.policy)
    needed = estimate(
        request.policy,
        cohorts,
        bad_rates=bad_rates(usage),
        users_per_day=_users(usage) / WEEK.days,
    )
    plan = {
        "share": share,
        "policy": policy_json(request.policy, request.alarms),
        "limits": limits,
        "basis": {
            "stable_checksum": active.checksum or "",
            "canary_checksum": chosen.checksum,
            "flags": flags_checksum(Parts.of(active)),
            "tools": None,
            "overrides": [],
        },
        "site": {"prefix": site.prefix, "document": site.document},
        "store": plane.publisher.describe(),
        "look_seconds": request.look_seconds,
        "estimate": _estimate_json(needed),
    }
    return Prepared(
        start=Start(version=request.version, reason=request.reason, share=share, plan=plan),
        estimate=needed,
        usage=usage,
        notes=_notes(request.policy, usage),
        obstacles=_obstacles(request.policy, needed, usage),
    )


def bad_rates(usage: Usage) -> Mapping[Metric, float]:
    """Return the rates of stable's runs; of runs, for without a rollout users have several."""
    if not usage.ended:
        return {}
    return {
        Metric.ERROR: usage.failed / usage.ended,
        Metric.GUARDRAIL: usage.guarded / usage.ended,
        Metric.LIMIT: usage.limited / usage.ended,
        Metric.SLOW: ABOVE_P95,
        Metric.COSTLY: ABOVE_P95 if usage.cost_p95 is not None else 0.0,
    }


def _cohorts(share: Mapping[str, Any]) -> Any:
    try:
        rollout = parse_rollout({**share, "stage": 0})
    except Refused as refused:
        raise ConfigurationError(str(refused)) from refused
    return rollout.cohorts if rollout else ()


def _users(usage: Usage) -> float:
    return float(usage.users or usage.runs)


def _limits(usage: Usage, policy: Policy) -> dict[str, float]:
    """Freeze stable's p95s; what is not known is no limit, which JSON has no number for.

    Raises:
        ConfigurationError: a judged metric would have none, and so could never be bad.
    """
    judged = {one.metric for one in policy.judged} if isinstance(policy, Sequential) else set()
    limits: dict[str, float] = {}
    if usage.latency_p95_ms is not None:
        limits["slow_above_seconds"] = usage.latency_p95_ms / 1000
    elif Metric.SLOW in judged:
        raise ConfigurationError(
            "the policy judges slow, and no run of last week tells what that is: let stable run "
            "first, or leave it out of judged"
        )
    if usage.cost_p95 is not None:
        limits["costly_above"] = usage.cost_p95
    elif Metric.COSTLY in judged:
        raise ConfigurationError(
            "the policy judges costly, and no run of last week has a cost: name the models' prices "
            "in the program, DurableAgent(prices=Prices(…)), or leave it out of judged"
        )
    if Metric.COSTLY in judged:
        limits["unpriced_is_costly"] = True
    return limits


def _estimate_json(needed: Estimate) -> dict[str, float | None]:
    return {
        "users": needed.users if isfinite(needed.users) else None,
        "seconds": needed.seconds if isfinite(needed.seconds) else None,
    }


def _notes(policy: Policy, usage: Usage) -> tuple[str, ...]:
    notes = []
    if isinstance(policy, Classical):
        notes.append(WARNING)
    if usage.runs and not usage.users:
        notes.append(
            "users were not told apart last week (no secret to hash them with): runs are counted "
            "in their place, and there are fewer users than runs"
        )
    if usage.ended and usage.cost_p95 is None:
        notes.append(
            "no run of last week has a cost, so costly answers are not looked for: name the models' "
            "prices in the program, DurableAgent(prices=Prices(…))"
        )
    rate = bad_rates(usage).get(Metric.ERROR)
    by_ratio = isinstance(policy, Sequential) and any(
        one.metric is Metric.ERROR and one.margin is None for one in policy.judged
    )
    if rate is not None and by_ratio and rate <= HARDLY_JUDGED:
        notes.append(
            f"{rate:.2%} of stable's runs fail: so few errors can hardly be judged by their ratio; "
            "judge them by an absolute margin, {metric: error, margin: 0.005} in --policy"
        )
    return tuple(notes)


def _obstacles(policy: Policy, needed: Estimate, usage: Usage) -> tuple[str, ...]:
    if not usage.runs:
        return ("no run of last week is known here, so nobody knows whether it can finish",)
    if needed.fits(policy):
        return ()
    days = policy.pace.deadline_seconds / DAY_SECONDS
    takes = (
        "never ends" if needed.seconds == inf else f"takes {needed.seconds / DAY_SECONDS:.1f} days"
    )
    return (f"with last week's users it {takes}, and its deadline comes after {days:.1f}",)
