"""Promote, roll back, reset, override: what becomes active, and from where; ``activation`` does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.outcomes import (
    NeverActive,
    NotActive,
    NothingBefore,
    Outcome,
    Refusal,
    Unpublishable,
)
from retunable.release.publishing.settling import settle_pending
from retunable.release.publishing.site import ControlPlane, Site, Standing
from retunable.release.store import approvals, deployments, versions
from retunable.release.store.history import rollback_target, was_active
from retunable.release.store.version_data import Invalid


def promote(
    plane: ControlPlane, site: Site, wish: Wish, *, origin: str, shown: Standing | None = None
) -> Outcome:
    """Activate a version that runs or ran in another environment, ``origin``. Raises as above."""
    with plane.store.snapshot() as work:
        found = wish.version and versions.version(work, site.agent, wish.version)
        past = deployments.deployments(work, site.agent, environment=origin)
    if found and not was_active(past, checksum=found.checksum):
        return NeverActive(found.number, origin)
    return activate(plane, site, replace(wish, action="promote"), shown=shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Where a rollback goes: to ``version``, or to the one before; why, and what else.

    ``revoke`` adds the checksum of what is active now to the revoked ones. ``as_new`` saves the old
    data as a new version and activates that.
    """

    reason: str
    version: int | None = None
    revoke: bool = False
    as_new: bool = False
    expect: int | None = None
    keep_overrides: bool = False


def roll_back(
    plane: ControlPlane, site: Site, back: Return, *, shown: Standing | None = None
) -> Outcome:
    """Go back to the version before, or to a given one. Raises as ``activate``."""
    settle_pending(plane, site)
    with plane.store.snapshot() as work:
        past = deployments.deployments(work, site.agent, environment=site.environment)
        now = deployments.active(work, site.agent, environment=site.environment)
    target = rollback_target(past[::-1]) if back.version is None else back.version
    if target is None or now is None:
        return NothingBefore()
    if back.as_new:
        saved = _saved_again(plane, site, target, back.reason)
        if not isinstance(saved, int):
            return saved
        target = saved
    wish = Wish(
        version=target,
        reason=back.reason,
        action="rollback",
        expect=back.expect if back.expect is not None else now.version or 0,
        revoke=(now.checksum,) if back.revoke and now.checksum else (),
        keep_overrides=back.keep_overrides,
    )
    return activate(plane, site, wish, shown=shown)


def reset(
    plane: ControlPlane,
    site: Site,
    *,
    reason: str,
    keep_overrides: bool = False,
    shown: Standing | None = None,
) -> Outcome:
    """Publish a tombstone: what the program says is meant, and the generation goes on.

    Field keys go in the same write unless they are kept. Raises as ``activate``.
    """
    wish = Wish(version=None, reason=reason, action="reset", keep_overrides=keep_overrides)
    return activate(plane, site, wish, shown=shown)


def override(
    plane: ControlPlane, site: Site, overrides: Mapping[str, Any], *, reason: str
) -> Outcome:
    """Override fields of the active version inside its envelope until their moments; audited.

    Those that hold already stay, except a field that is named anew; ``{"value": …, "expires_at":
    …}`` by field name, and None ends one. Raises as ``activate``.
    """
    settle_pending(plane, site)
    with plane.store.snapshot() as work:
        now = deployments.active(work, site.agent, environment=site.environment)
    if now is None or now.version is None:
        return NotActive(site.environment)
    wish = Wish(
        version=now.version,
        reason=reason,
        action="override",
        expect=now.version,
        keep_overrides=True,
        overrides=overrides,
    )
    return activate(plane, site, wish)


def _saved_again(plane: ControlPlane, site: Site, number: int, reason: str) -> int | Refusal:
    with plane.store.transaction(claimed=plane.claimed) as work:
        old = versions.version(work, site.agent, number)
        if old is None:
            return approvals.no_such_version(work, site.agent, number)
        draft = versions.Draft(
            agent=site.agent, config=versions.config(work, old), reason=reason, parent=number
        )
        saved = versions.save(work, draft)
        if isinstance(saved, Invalid):
            return Unpublishable(saved.reason)
        return saved.version.number
