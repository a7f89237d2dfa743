"""Activates a version: begins a deployment, publishes it, and ends it.

One transaction where both stores are one database. Elsewhere: a pending row, the compare-and-set,
the row confirmed or withdrawn; a process that dies in between is ended by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from retunable.config.items import Item
from retunable.config.rejection import Refused
from retunable.errors import StoreWriteError
from retunable.release.documents import json_text, stored_document
from retunable.release.landing import Landed, Landing, Moved, Outrun
from retunable.release.publishing import ownership
from retunable.release.publishing.aborting import is_aborted
from retunable.release.publishing.consent import Consent
from retunable.release.publishing.envelopes import (
    check_readable,
    document_of,
    publication_of,
    shown_data,
)
from retunable.release.publishing.one_database import is_one_database, publish_inside
from retunable.release.publishing.outcomes import (
    Activated,
    Changed,
    NotActive,
    Outcome,
    ProgramRefuses,
    Refusal,
    Unpublishable,
)
from retunable.release.publishing.settling import (
    Finished,
    StoreRefused,
    configs_of,
    finish_as,
    settle_pending,
)
from retunable.release.publishing.site import ControlPlane, Site, Standing, look
from retunable.release.store import deployments
from retunable.release.store.database import Transaction
from retunable.release.store.deployments import Begun, Intent
from retunable.release.store.parts import Parts
from retunable.release.store.points import Point
from retunable.release.store.records import ActivationAction, Deployment

Alteration = Callable[[Transaction, Parts], Parts | Refusal]
"""Changes what is carried on, in the transaction that allots the generation; a refusal ends it.

Called at each try, it makes the same of the same: else nothing that the program agreed to comes.
"""

ATTEMPTS: Final = 50
"""How often others may come first: 20 processes that activate at once need about that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to become active, and why.

    ``version`` None leaves what is active, and is none at all for a reset. ``expect`` is the version
    that must be active still, 0 for none, None for any. ``revoke`` are version checksums that unpin
    conversations. ``overrides`` are fields that the envelope itself overrides for a time: ``{field:
    {"value": …, "expires_at": …}}``. Field keys, and overrides of the envelope before, go with the
    activation unless ``keep_overrides``. Canary, rollout, flags and revoked checksums are carried on,
    after a reset only the last; ``alter`` changes them, and ``rollout`` is what ``rollouts.follow``
    is told of it.
    """

    version: int | None = None
    reason: str
    action: ActivationAction = "activate"
    expect: int | None = None
    revoke: tuple[str, ...] = ()
    keep_overrides: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    alter: Alteration | None = None
    rollout: Mapping[str, Any] = field(default_factory=dict)


def activate(
    plane: ControlPlane, site: Site, wish: Wish, *, shown: Standing | None = None
) -> Outcome:
    """Make a version active: pointer, audit and publication.

    ``shown`` is what somebody was shown of the configuration store and decided on; what stands
    now, where it is None. The plane's program is asked about the document first.

    Raises:
        StoreWriteError: the configuration store is away or refuses. What is pending then is ended
            by the next operation; the same call again is safe.
        ReleaseStoreError: so is the release store.
    """
    together, consent = is_one_database(plane), Consent(plane.program)
    for _ in range(ATTEMPTS):
        settle_pending(plane, site)
        standing = shown or look(plane, site)
        if (refusal := ownership.refusal(plane, site, wish.keep_overrides, standing)) is not None:
            return refusal
        attempt = _together if together else _in_steps
        try:
            outcome = attempt(plane, site, wish, standing, consent)
        except _Unasked as unasked:
            outcome = unasked.ask(consent)
        if outcome is not None and not (shown is None and outcome == Changed((site.document,))):
            return outcome
    raise StoreWriteError(
        f"others activated {site.agent} in {site.environment} {ATTEMPTS} times in between; "
        "nothing was activated, run it again"
    )


def _together(
    plane: ControlPlane, site: Site, wish: Wish, standing: Standing, consent: Consent
) -> Outcome | None:
    """Try in one transaction; None where somebody else was faster and it is worth another try."""
    try:
        with plane.store.transaction(claimed=plane.claimed) as work:
            ready = _begin(work, plane, site, wish, standing)
            ready.check(consent)
            begun = ready.begun
            publication = publication_of(site, begun.deployment, ready.document, standing)
            landing = publish_inside(work, plane, publication)
            plane.store.reached(Point.PUBLISHED)
            if not isinstance(landing, Landed):
                raise _NotLanded(landing)
            settled = deployments.confirm(work, begun.deployment)
    except _NotLanded as instead:
        return _not_landed(instead.landing)
    except _NotBegun as instead:
        return instead.refusal
    except Refused as refused:
        return Unpublishable(str(refused))
    plane.store.reached(Point.SETTLED)
    return _activated(settled, begun, standing)


def _in_steps(
    plane: ControlPlane, site: Site, wish: Wish, standing: Standing, consent: Consent
) -> Outcome | None:
    """Try over two databases; None where somebody else was faster and it is worth another try."""
    try:
        with plane.store.transaction(claimed=plane.claimed) as work:
            ready = _begin(work, plane, site, wish, standing)
            ready.check(consent)
    except _NotBegun as instead:
        return instead.refusal
    except Refused as refused:
        return Unpublishable(str(refused))
    plane.store.reached(Point.PENDING)
    deployment, document = ready.begun.deployment, ready.document
    finished = finish_as(plane, site, deployment, document=document, standing=standing)
    return _ended(finished, ready.begun, standing)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A deployment that is begun, and the document that it publishes."""

    begun: Begun
    document: Mapping[str, Any]

    def check(self, consent: Consent) -> None:
        """Raise, and with that roll the transaction back, where nobody was asked about it yet."""
        if not consent.covers(self.document):
            raise _Unasked(self)


def _begin(
    work: Transaction, plane: ControlPlane, site: Site, wish: Wish, standing: Standing
) -> _Ready:
    if deployments.pending(work, site.agent, environment=site.environment):
        raise _NotBegun(None)  # somebody began since we looked: theirs is ended first
    before = deployments.active(work, site.agent, environment=site.environment)
    version = wish.version or (before.version if before else None)
    if wish.action == "reset":
        version = None
    elif version is None:
        raise _NotBegun(NotActive(site.environment))
    parts = _parts(work, wish, before, standing)
    data = shown_data(site, standing, keep_overrides=wish.keep_overrides)
    begun = deployments.begin(
        work,
        Intent(
            agent=site.agent,
            environment=site.environment,
            action=wish.action,
            version=version,
            reason=wish.reason,
            published=stored_document(standing.document).generation,
            expect=wish.expect,
            revoke=wish.revoke,
            parts=parts.to_json(),
            data={
                **data,
                **({"rollout": dict(wish.rollout)} if wish.rollout else {}),
                "key": plane.key.id if plane.key else None,
                "store": plane.publisher.describe(),
                # So that `retune control` can end it, which is told of no agent.
                "site": {"prefix": site.prefix, "document": site.document},
            },
        ),
    )
    if not isinstance(begun, Begun):
        raise _NotBegun(begun)
    document = document_of(begun.deployment, configs_of(work, begun.deployment), plane.key)
    check_readable(site, json_text(document))
    return _Ready(begun, document)


def _parts(work: Transaction, wish: Wish, before: Deployment | None, standing: Standing) -> Parts:
    """Carry on what was published before, but for what is wished; an abort is kept to."""
    parts = Parts.of(before)
    if wish.action == "reset":
        return Parts(revoked=parts.revoked)
    if not wish.keep_overrides:
        parts = replace(parts, overrides={})
    parts = parts.overridden(wish.overrides, now=work.now)
    if is_aborted(standing, parts):
        parts = parts.without_canary(revoke=True)
    if wish.alter is not None:
        altered = wish.alter(work, parts)
        if not isinstance(altered, Parts):
            raise _NotBegun(altered)
        parts = altered
    became_stable = parts.canary is not None and parts.canary.version == wish.version
    return parts.without_canary() if became_stable else parts


def _ended(finished: Finished, begun: Begun, standing: Standing) -> Outcome | None:
    if finished.deployment.state == "confirmed":
        met = finished.met
        higher = met.generation if isinstance(met, Outrun) else None
        activated = _activated(finished.deployment, begun, standing)
        return replace(activated, superseded_by=higher)
    match finished.met:
        case Landed():
            raise StoreWriteError(
                f"generation {finished.deployment.generation} was withdrawn by another publisher "
                "while it landed; look at it: retune status"
            )
        case StoreRefused(error):
            raise error
        case landing:
            return _not_landed(landing)


def _not_landed(landing: Landing) -> Outcome | None:
    return Changed(landing.keys) if isinstance(landing, Moved) else None


def _activated(settled: Deployment, begun: Begun, standing: Standing) -> Activated:
    named = settled.data.get("overrides", {})
    cleared = {
        key: item
        for key, item in standing.overrides.items()
        if key in named and isinstance(item, Item)
    }
    return Activated(deployment=settled, before=begun.before, cleared=cleared)


class _NotBegun(Exception):
    """Rolls the release store's transaction back; None: somebody else was faster."""

    def __init__(self, refusal: Refusal | None) -> None:
        self.refusal = refusal


class _Unasked(Exception):
    """Rolls the release store's transaction back, for no lock waits for the program's answer."""

    def __init__(self, ready: _Ready) -> None:
        self._ready = ready

    def ask(self, consent: Consent) -> ProgramRefuses | None:
        """Return why the program would refuse it; None where it is worth another try."""
        refusal = consent.ask(self._ready.document)
        if refusal is None or refusal.flag is None:
            return refusal
        before = Parts.of(self._ready.begun.before)
        return replace(refusal, stands=any(flag["name"] == refusal.flag for flag in before.flags))


class _NotLanded(Exception):
    """Rolls the release store's transaction back."""

    def __init__(self, landing: Landing) -> None:
        self.landing = landing
