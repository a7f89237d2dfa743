"""A release store and a configuration store beside it, and what a person does with both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from retunable.config.agent_config import AgentConfig
from retunable.config.items import Item
from retunable.release.opening import open_publisher
from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.outcomes import Activated, Outcome
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.signing import SigningKey
from retunable.release.store import deployments, versions
from retunable.release.store.deployments import Intent
from retunable.release.store.points import Reached, ignored
from retunable.release.store.release_store import ReleaseStore, open_release_store
from retunable.release.store.versions import Draft, Saved
from retunable.release.store_url import StoreURL

SITE = Site(agent="support-bot", environment="production", prefix="live/")
STAGING = Site(agent=SITE.agent, environment="staging", prefix="staging/")
SALES = Site(agent="sales-bot", environment="production", prefix="sales/")
SITES = (SITE, STAGING, SALES)


def config(role: str, **values: Any) -> dict[str, Any]:
    """A complete config."""
    complete = AgentConfig(role=role, goal="Help", model="offline", provider="offline")
    return complete.to_json() | {"tools": ["search"]} | values


@dataclass(frozen=True, slots=True)
class World:
    """Both URLs; ``together`` where both stores are one database."""

    releases: str
    configuration: StoreURL
    together: bool

    @contextmanager
    def plane(
        self, *, reached: Reached = ignored, key: SigningKey | None = None
    ) -> Iterator[ControlPlane]:
        """Open both stores, as one more process would."""
        publisher = open_publisher(self.configuration)
        try:
            with open_release_store(self.releases, reached=reached) as store:
                yield ControlPlane(store=store, publisher=publisher, key=key)
        finally:
            publisher.close()


def save(plane: ControlPlane, role: str, *, agent: str = SITE.agent, **values: Any) -> int:
    """Save a version and return its number."""
    with plane.store.transaction() as work:
        draft = Draft(agent=agent, config=config(role, **values), reason=f"say {role}")
        saved = versions.save(work, draft)
    assert isinstance(saved, Saved)
    return saved.version.number


def put(
    plane: ControlPlane, site: Site, version: int, *, reason: str = "test", **wish: Any
) -> Activated:
    """Activate a version that nothing keeps from it."""
    outcome = activate(plane, site, Wish(version=version, reason=reason, **wish))
    assert isinstance(outcome, Activated), outcome
    return outcome


def leave_pending(store: ReleaseStore, site: Site, version: int, *, at: str) -> None:
    """Write down that a version is about to be published to a configuration store, and do no more."""
    with store.transaction() as work:
        deployments.begin(
            work,
            Intent(
                agent=site.agent,
                environment=site.environment,
                action="activate",
                version=version,
                reason="killed before it was published",
                published=0,
                data={
                    "seen": None,
                    "overrides": {},
                    "key": None,
                    "store": at,
                    "site": {"prefix": site.prefix, "document": site.document},
                },
            ),
        )


def published(plane: ControlPlane, site: Site = SITE) -> dict[str, Any]:
    """The document that stands at a site."""
    item = plane.publisher.read([site.document])[site.document]
    assert isinstance(item, Item)
    value = json.loads(item.value)
    assert isinstance(value, dict)
    return value


def running(plane: ControlPlane, site: Site = SITE) -> tuple[int, int, str]:
    """Generation, version and role that agents read at a site."""
    document = published(plane, site)
    stable = document["stable"]
    return document["generation"], stable["version"], stable["config"]["role"]


def is_refused(outcome: Outcome, kind: type) -> bool:
    """Tell whether an operation ended in one kind of refusal."""
    return isinstance(outcome, kind)
