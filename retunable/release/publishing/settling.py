"""Ends a deployment that was begun: publish it, then write down what became of it.

Anybody may do this for anybody, at any time and again: what is published is the same bytes, the
store decides what lands, and only what is still pending is settled. So a publisher that was killed
or stopped leaves nothing that the next one cannot end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from retunable.config.items import Item
from retunable.config.jsontext import JsonTextError, parse_json
from retunable.errors import ConfigurationError, StoreWriteError
from retunable.release.landing import Landed, Landing, Moved, Outrun, Publication
from retunable.release.publishing.envelopes import document_of, publication_of
from retunable.release.publishing.site import ControlPlane, Site, Standing, look
from retunable.release.store import deployments, versions
from retunable.release.store.database import Transaction
from retunable.release.store.parts import Parts
from retunable.release.store.points import Point
from retunable.release.store.records import Deployment


@dataclass(frozen=True, slots=True)
class StoreRefused:
    """The configuration store refused it, and it does not stand there."""

    error: StoreWriteError


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a deployment, and what its publication met."""

    deployment: Deployment
    met: Landing | StoreRefused


def settle_pending(plane: ControlPlane, site: Site) -> tuple[Finished, ...]:
    """End everything that was begun at a site, the lowest generation first.

    Raises:
        StoreWriteError: the configuration store is away, so nothing can be known; all stays pending.
    """
    with plane.store.snapshot() as work:
        begun = deployments.pending(work, site.agent, environment=site.environment)
    return tuple(finish(plane, site, deployment) for deployment in begun)


def finish(plane: ControlPlane, site: Site, deployment: Deployment) -> Finished:
    """Publish one pending deployment and settle it. Raises as ``settle_pending``."""
    check_key(plane, deployment)
    with plane.store.snapshot() as work:
        document = document_of(deployment, configs_of(work, deployment), plane.key)
    return finish_as(plane, site, deployment, document=document, standing=look(plane, site))


def finish_as(
    plane: ControlPlane,
    site: Site,
    deployment: Deployment,
    *,
    document: Mapping[str, Any],
    standing: Standing,
) -> Finished:
    """As ``finish``, for whoever has made the document and looked at the store already."""
    met = _publish(plane, site, publication_of(site, deployment, document, standing), document)
    plane.store.reached(Point.PUBLISHED)
    with plane.store.transaction(claimed=plane.claimed) as work:
        settled = _settle(work, deployment, met)
    plane.store.reached(Point.SETTLED)
    return Finished(settled, met)


def check_key(plane: ControlPlane, deployment: Deployment) -> None:
    """Raise ConfigurationError where a signed deployment would be published without a signature."""
    if plane.key is None and deployment.data.get("key"):
        raise ConfigurationError(
            f"generation {deployment.generation} of {deployment.agent} was begun with the signing "
            f"key {deployment.data['key']}; name a signing key to publish it"
        )


def configs_of(work: Transaction, deployment: Deployment) -> dict[int, dict[str, Any]]:
    """Return the configs that a deployment publishes by version, as saved; none for a reset."""
    canary = Parts.of(deployment).canary
    wanted = {deployment.version, canary.version if canary else None} - {None}
    found = (versions.version(work, deployment.agent, number) for number in wanted if number)
    return {version.number: versions.config(work, version) for version in found if version}


def says_the_same(standing: Standing, document: Mapping[str, Any]) -> bool:
    """Tell whether a document stands there, whoever signed it."""
    if not isinstance(standing.document, Item):
        return False
    try:
        value = parse_json(standing.document.value)
    except JsonTextError:
        return False
    return isinstance(value, dict) and _unsigned(value) == _unsigned(document)


def _publish(
    plane: ControlPlane, site: Site, publication: Publication, document: Mapping[str, Any]
) -> Landing | StoreRefused:
    try:
        landing = plane.publisher.publish(publication)
    except StoreWriteError as error:
        # Not known yet: it may have landed without an answer. A store that cannot be read now
        # leaves it pending; whoever comes next looks again.
        landed = says_the_same(look(plane, site), document)
        return Landed(already=True) if landed else StoreRefused(error)
    if isinstance(landing, Moved) and says_the_same(look(plane, site), document):
        return Landed(already=True)  # published by somebody with another key
    return landing


def _settle(work: Transaction, deployment: Deployment, met: Landing | StoreRefused) -> Deployment:
    now = deployments.at_generation(
        work, deployment.agent, deployment.environment, deployment.generation
    )
    if now.state != "pending":
        return now
    match met:
        case Landed():
            return deployments.confirm(work, now)
        case Outrun(generation):
            reason = f"generation {generation} was published before it"
        case Moved(keys):
            reason = f"{', '.join(keys)} was changed after it was shown"
        case StoreRefused(error):
            reason = str(error)
        case _:
            assert_never(met)
    return deployments.withdraw(work, now, reason=reason)


def _unsigned(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in document.items() if name != "signature"}
