"""Finishes publications that a killed publisher left: what ``retune publish`` would do, for everybody.

Only what was begun on the configuration store that this process writes, as its publisher wrote
down; the rest is left to whoever can, and the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from retunable.errors import ConfigurationError, StoreWriteError
from retunable.release.publishing.settling import Finished, finish
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.signing import SigningKey
from retunable.release.store import deployments
from retunable.release.store.records import Deployment
from retunable.release.store.release_store import ReleaseStore
from retunable.release.writer import Publisher

logger = logging.getLogger("retunable")

GRACE: Final = timedelta(seconds=5)
"""A publisher needs milliseconds; what is pending for longer has lost its publisher."""


class Outbox:
    """The pending publications of one release store; ``grace`` leaves those under way alone.

    ``open_publisher`` connects to the configuration store, anew for each look at it: a connection
    that was kept would not survive the store's restart.
    """

    def __init__(
        self,
        store: ReleaseStore,
        open_publisher: Callable[[], Publisher],
        *,
        key: SigningKey | None = None,
        grace: timedelta = GRACE,
    ) -> None:
        self._store = store
        self._open_publisher = open_publisher
        self._key = key
        self._grace = grace
        self._said: set[tuple[str, str, int]] = set()

    def run_once(self) -> Sequence[Finished]:
        """End what is pending; what cannot be ended now stays, and is tried at the next call.

        Raises:
            ReleaseStoreError: the release store is away.
            StoreWriteError: the configuration store is.
        """
        with self._store.snapshot() as work:
            waiting = deployments.all_pending(work)
            now = work.now
        old = [one for one in waiting if now - one.stamp.at >= self._grace]
        if not old:
            return ()
        publisher = self._open_publisher()
        try:
            plane = ControlPlane(store=self._store, publisher=publisher, key=self._key)
            return [done for one in old if (done := self._finished(plane, one)) is not None]
        finally:
            publisher.close()

    def _finished(self, plane: ControlPlane, deployment: Deployment) -> Finished | None:
        site = site_of(deployment, store=plane.publisher.describe())
        if site is None:
            self._say(deployment, "it was begun on another configuration store")
            return None
        try:
            finished = finish(plane, site, deployment)
        except (ConfigurationError, StoreWriteError) as error:
            self._say(deployment, str(error))
            return None
        logger.info(
            "generation %d of %s in %s was left pending and is %s now",
            deployment.generation,
            deployment.agent,
            deployment.environment,
            finished.deployment.state,
        )
        return finished

    def _say(self, deployment: Deployment, why: str) -> None:
        which = (deployment.agent, deployment.environment, deployment.generation)
        if which not in self._said:
            self._said.add(which)
            logger.warning(
                "generation %d of %s in %s stays pending (%s); retune publish %s --env %s ends it",
                deployment.generation,
                deployment.agent,
                deployment.environment,
                why,
                deployment.agent,
                deployment.environment,
            )


def site_of(deployment: Deployment, *, store: str) -> Site | None:
    """Return where a deployment was to be published; None where that is another store."""
    match deployment.data:
        case {"store": str(named), "site": {"prefix": str(prefix), "document": str(document)}}:
            pass
        case _:
            return None
    if named != store:
        return None
    return Site(
        agent=deployment.agent,
        environment=deployment.environment,
        prefix=prefix,
        document_key=document.removeprefix(prefix),
    )
