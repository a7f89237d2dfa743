"""The moves of a rollout: each is one publication, begun only if the rollout is as it was decided on.

What to do is decided elsewhere, by a person or by the evidence. Only ``pause``, ``hold`` and
``resume`` publish nothing: everybody keeps what they have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from retunable.config.constraints import Constraints
from retunable.config.diff import diff
from retunable.config.flags import Flag, parse_flags
from retunable.config.split import BUCKETS
from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.outcomes import Outcome, Overtaken, Refusal, Unpublishable
from retunable.release.publishing.settling import settle_pending
from retunable.release.publishing.site import ControlPlane, Site, Standing, look
from retunable.release.store import approvals, deployments, rollouts, versions
from retunable.release.store.database import Transaction
from retunable.release.store.parts import Canary, Parts
from retunable.release.store.records import Version
from retunable.release.store.rollouts import AlreadyLive, Rollout, RolloutState

WITHOUT_PUBLICATION: Final = frozenset({"running", "paused", "held"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A rollout that is to begin.

    ``share`` is the envelope's ``rollout`` but for ``stage``: id, salt, stages and
    control_percent. ``plan`` is kept for whoever judges it.
    """

    version: int
    reason: str
    share: Mapping[str, Any]
    plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What is to become of a rollout, and why.

    ``based_on`` is the step that it was decided on, None where it holds whatever was decided
    since. ``stage`` is given to grow, with the state ``running``.
    """

    rollout: str
    state: RolloutState
    reason: str
    based_on: int | None = None
    stage: int | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)


def start(plane: ControlPlane, site: Site, begin: Start) -> Outcome:
    """Publish a canary to its first stage. Raises as ``activate``."""
    standing = look(plane, site)

    def alter(work: Transaction, parts: Parts) -> Parts | Refusal:
        if (live := rollouts.live(work, site.agent, environment=site.environment)) is not None:
            return AlreadyLive(live)
        chosen = versions.version(work, site.agent, begin.version)
        if chosen is None:
            return approvals.no_such_version(work, site.agent, begin.version)
        missing = deployments.missing_approvals(work, chosen, environment=site.environment)
        if missing is not None:
            return missing
        if (refusal := _not_comparable(work, site, chosen, standing, parts)) is not None:
            return refusal
        canary = Canary(chosen.number, chosen.checksum)
        return replace(parts, canary=canary, rollout={**begin.share, "stage": 0})

    wish = Wish(
        reason=begin.reason,
        action="canary",
        keep_overrides=True,
        alter=alter,
        rollout={"id": begin.share["id"], "begin": dict(begin.plan)},
    )
    return activate(plane, site, wish)


def carry_out(plane: ControlPlane, site: Site, move: Move) -> Outcome | Rollout:
    """Make a move, once: where another was made since, nothing is written. Raises as ``activate``."""
    if move.stage is None and move.state in WITHOUT_PUBLICATION:
        return _step(plane, site, move)

    def alter(work: Transaction, parts: Parts) -> Parts | Refusal:
        now = rollouts.rollout(work, move.rollout)
        if (overtaken := _overtaken(now, move)) is not None:
            return overtaken
        if parts.rollout is None or parts.rollout["id"] != move.rollout:
            return Overtaken("its canary was taken back in the configuration store")
        if move.stage is not None:
            return replace(parts, rollout={**parts.rollout, "stage": move.stage})
        return parts.without_canary(revoke=move.state != "promoted")

    wish = Wish(
        version=_version(plane, move) if move.state == "promoted" else None,
        reason=move.reason,
        action="canary",
        keep_overrides=True,
        alter=alter,
        rollout={"state": move.state, "reason": move.reason, "numbers": dict(move.numbers)},
    )
    return activate(plane, site, wish)


def masking(
    site: Site, standing: Standing, parts: Parts, fields: frozenset[str], *, now: float
) -> frozenset[str]:
    """Return those of some fields that are set above both versions for everybody: nobody differs.

    By a field key, an override of the envelope, or a flag that is on for all users.
    """
    by_key = {name for name, key in site.field_keys.items() if key in standing.overrides}
    flags = parse_flags(list(parts.flags), variants=(), constraints=Constraints())
    by_flag = {name for flag in flags if _for_all(flag, now) for name in flag.change.values}
    return fields & (by_key | parts.overrides.keys() | by_flag)


def _for_all(flag: Flag, now: float) -> bool:
    return flag.enabled and not flag.rules and flag.buckets == BUCKETS and flag.expires_at > now


def differing(work: Transaction, agent: str, one: int, other: int) -> frozenset[str]:
    """Return the fields in which two saved versions differ."""
    found = [versions.version(work, agent, number) for number in (one, other)]
    configs = [versions.parsed_config(work, version) for version in found if version]
    return (
        frozenset(change.field for change in diff(*configs)) if len(configs) == 2 else frozenset()
    )


def _not_comparable(
    work: Transaction, site: Site, chosen: Version, standing: Standing, parts: Parts
) -> Unpublishable | None:
    active = deployments.active(work, site.agent, environment=site.environment)
    if active is None or active.version is None:
        return None  # begin says so
    fields = differing(work, site.agent, active.version, chosen.number)
    if not fields:
        return Unpublishable(f"version {chosen.number} is what everybody has already")
    masked = masking(site, standing, parts, fields, now=work.now.timestamp())
    if masked:
        names = ", ".join(sorted(masked))
        return Unpublishable(
            f"an override of {names} hides where versions {active.version} and {chosen.number} "
            "differ; end it first: retune unset, retune override without a value, or the flag "
            "that sets it for everybody"
        )
    return None


def _step(plane: ControlPlane, site: Site, move: Move) -> Rollout | Overtaken:
    settle_pending(plane, site)
    with plane.store.transaction(claimed=plane.claimed) as work:
        now = rollouts.rollout(work, move.rollout)
        overtaken = _overtaken(now, move)
        if overtaken is not None or now is None:
            return overtaken or Overtaken(f"there is no rollout {move.rollout}")
        return rollouts.take_step(
            work, now, state=move.state, reason=move.reason, numbers=move.numbers
        )


def _overtaken(now: Rollout | None, move: Move) -> Overtaken | None:
    if now is None:
        return Overtaken(f"there is no rollout {move.rollout}")
    if not now.is_live:
        return Overtaken(f"the rollout is {now.state} already")
    if move.based_on is not None and now.step != move.based_on:
        return Overtaken("something else was decided of the rollout since")
    return None


def _version(plane: ControlPlane, move: Move) -> int | None:
    with plane.store.snapshot() as work:
        now = rollouts.rollout(work, move.rollout)
    return now.version if now else None
