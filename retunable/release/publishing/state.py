"""Compares what is active with what is published, and mends a difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retunable.config.items import Item, Unreadable
from retunable.config.jsontext import parse_json
from retunable.errors import StoreWriteError
from retunable.release.documents import StoredDocument, json_text, stored_document
from retunable.release.landing import Landed, Moved, Outrun, Publication
from retunable.release.publishing.aborting import is_aborted
from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.envelopes import document_of
from retunable.release.publishing.outcomes import Activated, Changed, Outcome
from retunable.release.publishing.settling import (
    Finished,
    check_key,
    configs_of,
    says_the_same,
    settle_pending,
)
from retunable.release.publishing.site import ControlPlane, Site, Standing, look
from retunable.release.signing import fits
from retunable.release.store import audit, deployments
from retunable.release.store.audit import Record
from retunable.release.store.parts import Parts
from retunable.release.store.records import Deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One agent in one environment: what is active, what stands, and how they differ.

    ``drift`` is empty where the active deployment is what is published. Field keys are no drift:
    they are a layer of their own, and shown.
    """

    active: Deployment | None
    pending: tuple[Deployment, ...]
    published: StoredDocument
    overrides: Mapping[str, Item | Unreadable]
    drift: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What ``publish`` did: ended what was pending, and mended what had drifted."""

    settled: tuple[Finished, ...]
    mended: tuple[str, ...]
    deployment: Deployment | None


def state(plane: ControlPlane, site: Site) -> State:
    """Look at both stores; changes nothing. Raises StoreWriteError, ReleaseStoreError."""
    with plane.store.snapshot() as work:
        active = deployments.active(work, site.agent, environment=site.environment)
        pending = deployments.pending(work, site.agent, environment=site.environment)
        document = document_of(active, configs_of(work, active), plane.key) if active else None
    standing = look(plane, site)
    published = stored_document(standing.document)
    drift: str | None = None
    if active is not None and document is not None:
        same = says_the_same(standing, document)
        drift = _signature_fault(active, standing) if same else _difference(active, published)
    return State(
        active=active,
        pending=pending,
        published=published,
        overrides=standing.overrides,
        drift=() if drift is None else (drift,),
    )


def publish(
    plane: ControlPlane, site: Site, *, reason: str = "drift mended"
) -> Published | Changed:
    """End what is pending, then publish what is active wherever something else stands.

    Raises:
        StoreWriteError: the configuration store is away or refuses; the same call again is safe.
    """
    settled = settle_pending(plane, site)
    found = state(plane, site)
    if found.active is None or not found.drift:
        return Published(settled=settled, mended=(), deployment=found.active)
    mended = _again(plane, site, found.active, reason)
    if isinstance(mended, Deployment):
        return Published(settled=settled, mended=found.drift, deployment=mended)
    if isinstance(mended, Activated):
        return Published(settled=settled, mended=found.drift, deployment=mended.deployment)
    if isinstance(mended, Changed):
        return mended
    raise StoreWriteError(f"{site.agent} in {site.environment} cannot be published: {mended}")


def _again(
    plane: ControlPlane, site: Site, active: Deployment, reason: str
) -> Deployment | Outcome:
    """Write the same bytes again; a new generation where a higher one stands already."""
    check_key(plane, active)
    standing = look(plane, site)
    if active.version is not None and is_aborted(standing, Parts.of(active)):
        return activate(plane, site, Wish(reason=reason, keep_overrides=True), shown=standing)
    with plane.store.snapshot() as work:
        document = document_of(active, configs_of(work, active), plane.key)
    landing = plane.publisher.publish(
        Publication(
            key=site.document,
            text=json_text(document),
            generation=active.generation,
            seen=standing.document,
            exact=document.get("canary") is not None,
        )
    )
    match landing:
        case Moved(keys):
            return Changed(keys)
        case Outrun() if active.version is not None:
            wish = Wish(reason=reason, keep_overrides=True)
            return activate(plane, site, wish, shown=standing)
        case Outrun(generation):
            raise StoreWriteError(
                f"generation {generation} stands over a reset; activate a version to replace it"
            )
        case Landed():
            _write_down(plane, site, active, reason)
            return active


def _signature_fault(active: Deployment, standing: Standing) -> str | None:
    """Tell what is wrong with the signature of a document that is right otherwise."""
    value = parse_json(standing.document.value) if isinstance(standing.document, Item) else None
    signature = value.get("signature") if isinstance(value, dict) else None
    wanted = f"version {active.version} (generation {active.generation}) is active"
    if signature is None:
        signed = active.data.get("key") is not None
        return f"{wanted}, and what stands has lost its signature" if signed else None
    if not isinstance(value, dict) or not fits(value):
        return f"{wanted}, and the signature of what stands does not fit"
    return None


def _write_down(plane: ControlPlane, site: Site, active: Deployment, reason: str) -> None:
    with plane.store.transaction(claimed=plane.claimed) as work:
        audit.append(
            work,
            Record(
                action="publish",
                agent=site.agent,
                environment=site.environment,
                version=active.version,
                checksum=active.checksum,
                reason=reason,
                data={"generation": active.generation},
            ),
        )


def _difference(active: Deployment, published: StoredDocument) -> str:
    wanted = f"version {active.version} (generation {active.generation}) is active"
    match published.kind:
        case "none":
            return f"{wanted}, and nothing is published"
        case "plain":
            return f"{wanted}, and a document written by hand stands in its place"
        case "unreadable":
            return f"{wanted}, and what stands in its place cannot be read"
        case "tombstone" | "envelope" if published.generation != active.generation:
            return f"{wanted}, and a {published.kind} of generation {published.generation} stands"
        case _:
            return f"{wanted}, and what stands under its generation was altered"
