"""A snapshot: what a process knows now about one agent's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isfinite
from types import MappingProxyType
from typing import Any, Literal

from retunable.config.agent_config import AgentConfig
from retunable.config.checksum import checksum
from retunable.config.constraints import Constraints
from retunable.config.document import DocumentKind
from retunable.config.envelope import Variant
from retunable.config.flags import Flag
from retunable.config.memo import Memo
from retunable.config.rejection import Rejection
from retunable.config.stages import Rollout

Layer = Literal["default", "document", "override"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where one field's value comes from.

    ``key`` is the store key (None for a code default), ``item_version`` what the store calls
    its version, and ``kept`` tells that it is a last good value, not what stands there now. An
    override that stands in the envelope has the document's key and ``expires_at``, in seconds
    since the epoch.
    """

    layer: Layer
    key: str | None = None
    item_version: str = ""
    kept: bool = False
    expires_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One frozen view of the store's items, validated and layered.

    ``config`` is what stable gives without any flag; ``resolve`` says what one caller gets.
    ``overrides`` are those of the envelope and, above them, the field keys that are valid above
    stable; ``canary_overrides`` the same above the canary. At ``expires_at`` the first of the
    envelope's ends, and the snapshot with it. ``version``, ``version_checksum`` and
    ``generation`` come from an active release envelope. ``lost`` names store keys whose item is
    gone and whose last value is kept. ``whole`` is False where one poisoned value kept the store
    from being read in one piece.
    """

    agent: str
    environment: str
    config: AgentConfig
    document: DocumentKind = "none"
    generation: int | None = None
    stable: Variant | None = None
    canary: Variant | None = None
    rollout: Rollout | None = None
    flags: tuple[Flag, ...] = ()
    revoked: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    canary_overrides: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    provenance: Mapping[str, Provenance] = field(default_factory=lambda: MappingProxyType({}))
    rejected: tuple[Rejection, ...] = ()
    lost: tuple[str, ...] = ()
    not_honoured: tuple[str, ...] = ()
    whole: bool = True
    expires_at: float | None = None
    revision: int = 0
    constraints: Constraints = field(default_factory=Constraints, compare=False, repr=False)

    @cached_property
    def checksum(self) -> str:
        """The effective checksum of ``config``; reckoned when first asked for, not at a swap."""
        return checksum(self.config.to_json())

    @cached_property
    def memo(self) -> Memo:
        """Where ``resolve`` remembers what it worked out; it is no part of what this says."""
        return Memo()

    @cached_property
    def flag_attributes(self) -> tuple[str, ...]:
        """The attributes that some flag's rules ask for."""
        return tuple(sorted({rule.attribute for flag in self.flags for rule in flag.rules}))

    @cached_property
    def flag_expiries(self) -> tuple[float, ...]:
        """When flags expire, in seconds since the epoch; without those that never do."""
        return tuple(sorted(flag.expires_at for flag in self.flags if isfinite(flag.expires_at)))

    @property
    def version(self) -> int | None:
        """The number of the stable version, where an envelope is active."""
        return self.stable.version if self.stable else None

    @property
    def version_checksum(self) -> str | None:
        """The version checksum of the stable version, where an envelope is active."""
        return self.stable.checksum if self.stable else None

    def same_as(self, other: Snapshot) -> bool:
        """Tell whether two snapshots say the same, whatever their revisions."""
        return self == replace(other, revision=self.revision)
