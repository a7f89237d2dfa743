"""What the release store gives back: versions, deployments, approvals, policies, audit entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

ActivationAction = Literal["activate", "promote", "rollback", "reset", "override", "canary", "flag"]
Action = Literal[
    "save",
    "activate",
    "promote",
    "rollback",
    "reset",
    "confirm",
    "withdraw",
    "approve",
    "policy",
    "publish",
    "set",
    "unset",
    "override",
    "canary",
    "flag",
    "rollout",
    "decide",
    "observe",
]
"""What an audit entry records; the words are compatibility data."""

DeploymentState = Literal["pending", "confirmed", "withdrawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Who did it, when and why: the audit entry that a record is a detail of.

    ``actor`` is who the database or the login says; ``claimed`` whom the caller named beside it.
    """

    sequence: int
    at: datetime
    actor: str
    claimed: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An immutable saved config, without the config itself (``versions.config``)."""

    stamp: Stamp
    id: str
    agent: str
    number: int
    parent: int | None
    source: str
    schema: int
    checksum: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One publication of one agent in one environment; a reset has no version.

    ``parts`` are the envelope's other parts (``revoked`` …), ``data`` what else the publisher
    wrote down (the overrides to clear …). ``settled_at`` is when it was confirmed or withdrawn.
    """

    stamp: Stamp
    action: ActivationAction
    agent: str
    environment: str
    generation: int
    version: int | None
    checksum: str | None
    state: DeploymentState
    settled_at: datetime | None
    parts: Mapping[str, Any]
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Somebody's word for exactly one checksum in one environment."""

    stamp: Stamp
    agent: str
    environment: str
    version: int
    checksum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of one agent in one environment; revision 0 where nobody ever set any."""

    agent: str
    environment: str
    revision: int = 0
    require_approval: int = 0
    require_evaluation: bool = False
    stamp: Stamp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One audit entry, as it is chained: ``hash`` covers all the rest, ``previous`` included."""

    stamp: Stamp
    action: str
    agent: str
    environment: str | None
    version: int | None
    old_version: int | None
    checksum: str | None
    data: Mapping[str, Any]
    previous: str
    hash: str
