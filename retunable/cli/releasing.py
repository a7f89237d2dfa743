"""Opens what the commands about releases work with: the release store, and the site of an agent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from retunable.cli.place import DEFAULT_RELEASES, RELEASES_FILE, Place
from retunable.cli.target import Target, find_store, find_target
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.store.release_store import open_release_store
from retunable.serve.address import running_agents

if TYPE_CHECKING:
    from retunable.release.signing import SigningKey
    from retunable.release.store.release_store import ReleaseStore

KEY_VARIABLE: Final = "RETUNABLE_SIGNING_KEY"


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything open: both stores, the site, and the agent's running processes."""

    plane: ControlPlane
    site: Site
    target: Target


@contextmanager
def release_store(place: Place) -> Iterator[ReleaseStore]:
    """Open the release store that the place names."""
    if place.releases_url == DEFAULT_RELEASES:
        RELEASES_FILE.parent.mkdir(exist_ok=True)
    with open_release_store(place.releases_url) as store:
        yield store


@contextmanager
def release_desk(place: Place) -> Iterator[Desk]:
    """Open the release store, and the configuration store of the agent in its environment."""
    from retunable.release.opening import open_publisher

    target = find_target(place.where, running_agents())
    publisher = open_publisher(find_store(place.where, target))
    try:
        with release_store(place) as store:
            plane = ControlPlane(
                store=store, publisher=publisher, key=signing_key(place), claimed=place.actor
            )
            yield Desk(plane, site_of(place, target), target)
    finally:
        publisher.close()


def site_of(place: Place, target: Target) -> Site:
    """Return where an agent is published: as its running process says, or as its name gives."""
    return Site(
        agent=target.agent or place.agent,
        environment=target.environment,
        prefix=target.prefix,
        document_key=target.document_key or "",
    )


def signing_key(place: Place) -> SigningKey | None:
    """Return the key that is named, by option or variable; None where none is."""
    name = place.signing_key or os.environ.get(KEY_VARIABLE)
    if not name:
        return None
    from retunable.cli.signing_keys import signing_key as key_named

    return key_named(name, resources=place.where.resources)
