"""From a snapshot to what one caller gets: the variant, the flags, and why each.

Pure: the same snapshot, caller and time give the same answer on every replica. What was worked
out is remembered with the snapshot, for one model call asks for it again at every step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal

from retunable.config.agent_config import AgentConfig
from retunable.config.layering import Layers
from retunable.config.snapshot import Snapshot
from retunable.config.split import Unit, UnitKind, bucket_of, unit_of
from retunable.config.stages import Place
from retunable.config.targeting import (
    Caller,
    FlagDecision,
    FlagReason,
    ListKey,
    Question,
    ask,
    decision,
    settle,
)

VariantName = Literal["stable", "canary"]

_NO_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What one caller gets, and where it comes from.

    ``checksum`` is the effective checksum, ``version_checksum`` that of the version below the
    overrides (None without a release). ``override_keys`` are the field names set by field keys
    and by the envelope's own overrides, ``flags`` the names of the flags that are on. ``rollout`` is
    the id of the rollout that decided the variant, at its stage ``rollout_stage``.
    """

    config: AgentConfig
    checksum: str
    revision: int
    variant: str
    version: int | None
    version_checksum: str | None
    generation: int | None
    override_keys: tuple[str, ...]
    flags: tuple[str, ...] = ()
    rollout: str | None = None
    rollout_stage: int | None = None


class VariantReason(StrEnum):
    """Why a caller gets its variant."""

    NO_ROLLOUT = "no rollout is going on"
    IN_STAGE = "the caller is in the share that is on the canary now"
    OUTSIDE_STAGE = "the caller is outside the share that is on the canary now"
    NOBODY = "the caller has no usable user or conversation id"
    REVOKED = "the canary is revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Which variant a caller gets, and where it stands in the rollout.

    ``decided_by`` tells whose id was split. Only a user has a ``place`` in the comparison:
    callers without one are counted apart.
    """

    variant: VariantName
    reason: VariantReason
    decided_by: UnitKind | None
    bucket: int | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """What one caller gets, and the reason for its variant and for each flag."""

    effective: Effective
    assignment: Assignment
    flags: tuple[FlagDecision, ...] = ()


def resolve(
    snapshot: Snapshot,
    *,
    now: float,
    user_id: str | None = None,
    conversation_id: str | None = None,
    attributes: Mapping[str, str] | None = None,
    list_key: ListKey | None = None,
) -> Resolution:
    """Return what one caller gets; ``now`` is in seconds since the epoch.

    Without a user the conversation decides. ``list_key`` is the secret under which flags list
    users; without it nobody is found in a list, and the reason says so.
    """
    unit = unit_of(user_id, conversation_id)
    caller = Caller(unit, attributes or _NO_ATTRIBUTES, list_key)
    shared = (unit and unit.kind, _expired(snapshot, now), *_told(snapshot, caller))
    key = (unit and unit.id, *shared)
    known: Resolution | None = snapshot.memo.get(key)
    if known is None:
        known = _resolve(snapshot, caller, _questions(snapshot, caller, shared, now))
        snapshot.memo.put(key, known)
    return known


def assign(snapshot: Snapshot, unit: Unit | None) -> Assignment:
    """Return which variant a caller gets, and why."""
    kind, rollout, canary = unit.kind if unit else None, snapshot.rollout, snapshot.canary
    if rollout is None or canary is None:
        return Assignment(variant="stable", reason=VariantReason.NO_ROLLOUT, decided_by=kind)
    if unit is None:
        return Assignment(variant="stable", reason=VariantReason.NOBODY, decided_by=None)
    bucket = bucket_of(rollout.salt, unit.id)
    inside = rollout.is_canary(bucket)
    reason = VariantReason.IN_STAGE if inside else VariantReason.OUTSIDE_STAGE
    if canary.checksum in snapshot.revoked:
        reason = VariantReason.REVOKED
    return Assignment(
        variant="canary" if reason is VariantReason.IN_STAGE else "stable",
        reason=reason,
        decided_by=kind,
        bucket=bucket,
        place=rollout.place(bucket) if unit.kind == "user" else None,
    )


def _told(snapshot: Snapshot, caller: Caller) -> tuple[str | None, ...]:
    """Return what can tell callers of one id apart: attributes that a rule asks for, the key."""
    names = snapshot.flag_attributes
    key_id = caller.list_key.id if caller.list_key else None
    return (key_id, *(caller.attributes.get(name) for name in names))


def _expired(snapshot: Snapshot, now: float) -> int:
    return sum(now >= moment for moment in snapshot.flag_expiries)


def _questions(
    snapshot: Snapshot, caller: Caller, shared: tuple[object, ...], now: float
) -> tuple[Question, ...]:
    """Return what flags ask of the ids of callers who have ``shared`` in common."""
    key = ("questions", shared)
    known: tuple[Question, ...] | None = snapshot.memo.get(key)
    if known is None:
        known = tuple(settle(flag, caller, now=now) for flag in snapshot.flags)
        snapshot.memo.put(key, known)
    return known


def _resolve(snapshot: Snapshot, caller: Caller, questions: Sequence[Question]) -> Resolution:
    assignment = assign(snapshot, caller.unit)
    decisions = ask(questions, caller)
    wanted = tuple([one.name for one in decisions if one.on])
    effective = _effective(snapshot, assignment.variant, wanted)
    if len(effective.flags) < len(wanted):
        decisions = tuple(_without(one, effective.flags) for one in decisions)
    return Resolution(effective, assignment, decisions)


def _without(told: FlagDecision, joined: tuple[str, ...]) -> FlagDecision:
    left_out = told.on and told.name not in joined
    return decision(told.name, FlagReason.CONFLICT) if left_out else told


def _effective(snapshot: Snapshot, variant: VariantName, wanted: tuple[str, ...]) -> Effective:
    """Layer a variant and its flags; callers who get the same share one value."""
    key = (variant, wanted)
    known: Effective | None = snapshot.memo.get(key)
    if known is None:
        known = _layered(snapshot, variant, wanted)
        snapshot.memo.put(key, known)
    return known


def _layered(snapshot: Snapshot, variant: VariantName, wanted: tuple[str, ...]) -> Effective:
    version = snapshot.canary if variant == "canary" else snapshot.stable
    overrides = snapshot.canary_overrides if variant == "canary" else snapshot.overrides
    config, told = snapshot.config, snapshot.checksum
    joined: tuple[str, ...] = ()
    if version is not None and (variant == "canary" or wanted):
        flags = tuple([flag for flag in snapshot.flags if flag.name in wanted])
        layered = _layers(snapshot, variant, version.config, overrides).with_flags(flags)
        config, told = layered.config, layered.checksum
        joined = wanted if layered.flags is flags else tuple(one.name for one in layered.flags)
    rollout = snapshot.rollout if snapshot.canary is not None else None
    return Effective(
        config=config,
        checksum=told,
        revision=snapshot.revision,
        variant=variant,
        version=version.version if version else None,
        version_checksum=version.checksum if version else None,
        generation=snapshot.generation,
        override_keys=tuple(overrides),
        flags=joined,
        rollout=rollout.id if rollout else None,
        rollout_stage=rollout.stage if rollout else None,
    )


def _layers(
    snapshot: Snapshot, variant: VariantName, base: AgentConfig, overrides: Mapping[str, Any]
) -> Layers:
    """Return a variant below its field keys; made once a snapshot."""
    known: Layers | None = snapshot.memo.get(variant)
    if known is None:
        known = Layers(base, overrides=overrides, constraints=snapshot.constraints)
        snapshot.memo.put(variant, known)
    return known
