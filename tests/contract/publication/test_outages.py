"""The configuration store away or refusing in the middle of an activation."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dev.redis import RedisServer
from retunable.errors import StoreWriteError
from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.site import ControlPlane
from retunable.release.publishing.state import Published, publish, state
from retunable.release.store import deployments
from retunable.release.store.points import Point
from retunable.release.store_url import StoreURL
from tests.contract.publication.worlds import SITE, World, put, running, save

pytestmark = pytest.mark.redis


@pytest.fixture
def pair(redis_server: RedisServer, sqlite_template: Path, tmp_path: Path) -> World:
    file = tmp_path / "releases.db"
    shutil.copy(sqlite_template, file)
    return World(f"sqlite:///{file}", StoreURL.parse(redis_server.url), together=False)


def at_pending(act: Callable[[], object]) -> Callable[[Point], None]:
    """Do something once, when a deployment has been begun and nothing is published."""
    left = [act]

    def reached(point: Point) -> None:
        if point is Point.PENDING and left:
            left.pop()()

    return reached


def states(plane: ControlPlane) -> list[str]:
    with plane.store.snapshot() as work:
        found = deployments.deployments(work, SITE.agent, environment=SITE.environment)
    return [deployment.state for deployment in found[::-1]]


def test_an_activation_that_loses_its_store_stays_pending_until_it_is_back(
    pair: World, redis_server: RedisServer
) -> None:
    with pair.plane(reached=at_pending(redis_server.kill)) as plane:
        save(plane, "First")
        with pytest.raises(StoreWriteError, match="cannot be reached"):
            activate(plane, SITE, Wish(version=1, reason="x"))
        assert states(plane) == ["pending"]
    redis_server.start()
    with pair.plane() as plane:
        assert isinstance(publish(plane, SITE), Published)
        assert (states(plane), running(plane)) == (["confirmed"], (1, 1, "First"))


def test_an_activation_that_its_store_refuses_is_withdrawn_and_blocks_nobody(
    pair: World, redis_server: RedisServer
) -> None:
    def take_the_key() -> None:
        with redis_server.client() as client:
            client.hset(SITE.document, "somebody", "else")

    with pair.plane(reached=at_pending(take_the_key)) as plane:
        save(plane, "First")
        with pytest.raises(StoreWriteError, match="redis-cli DEL"):
            activate(plane, SITE, Wish(version=1, reason="x"))
        assert states(plane) == ["withdrawn"]
        with redis_server.client() as client:
            client.delete(SITE.document)
        put(plane, SITE, 1)
        assert (states(plane), running(plane)) == (["withdrawn", "confirmed"], (2, 1, "First"))
        assert state(plane, SITE).drift == ()
