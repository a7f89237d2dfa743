"""What an envelope says beside its stable version, as one value that every publication carries on.

Derived from the deployment before; who publishes changes what is meant to change and nothing else.
Pure: whether agents can take it is checked where it is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from retunable.release.store.records import Deployment


@dataclass(frozen=True, slots=True)
class Canary:
    """The version that some users get in place of the stable one."""

    version: int
    checksum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Canary and rollout, flags, revoked version checksums, timed overrides by field name."""

    canary: Canary | None = None
    rollout: Mapping[str, Any] | None = None
    flags: tuple[Mapping[str, Any], ...] = ()
    revoked: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, deployment: Deployment | None) -> Self:
        """Return what a deployment published; nothing where there was none."""
        parts = deployment.parts if deployment else {}
        canary = parts.get("canary")
        return cls(
            canary=canary and Canary(canary["version"], canary["checksum"]),
            rollout=parts.get("rollout"),
            flags=tuple(parts.get("flags", ())),
            revoked=tuple(parts.get("revoked", ())),
            overrides=parts.get("overrides", {}),
        )

    def to_json(self) -> dict[str, Any]:
        """Return what ``of`` reads back; parts without content are left out."""
        canary = self.canary and {"version": self.canary.version, "checksum": self.canary.checksum}
        parts = {
            "canary": canary,
            "rollout": self.rollout,
            "flags": list(self.flags),
            "revoked": list(self.revoked),
            "overrides": dict(self.overrides),
        }
        return {name: part for name, part in parts.items() if part}

    def without_canary(self, *, revoke: bool = False) -> Self:
        """End the rollout; ``revoke`` takes the canary back from those who are pinned to it."""
        if self.canary is None:
            return self
        added = (self.canary.checksum,) if revoke else ()
        revoked = tuple(dict.fromkeys((*self.revoked, *added)))
        return replace(self, canary=None, rollout=None, revoked=revoked)

    def overridden(self, overrides: Mapping[str, Any], *, now: datetime) -> Self:
        """Set timed overrides, None to end one; those that have expired go."""
        held = {
            name: member
            for name, member in self.overrides.items()
            if datetime.fromisoformat(member["expires_at"]) > now
        }
        changed = {name: member for name, member in (held | dict(overrides)).items() if member}
        return replace(self, overrides=changed)
