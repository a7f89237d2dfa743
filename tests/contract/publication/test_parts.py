"""A canary, its rollout and flags: carried on by every publication, and taken back by an abort."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from retunable.config.items import Item
from retunable.release.documents import json_text, stored_document
from retunable.release.publishing.aborting import Aborted, NoCanary, abort
from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.operations import Return, override, roll_back
from retunable.release.publishing.outcomes import Activated, NotActive, Overtaken, Refusal
from retunable.release.publishing.site import ControlPlane
from retunable.release.publishing.state import Published, publish, state
from retunable.release.store import deployments, versions
from retunable.release.store.database import Transaction
from retunable.release.store.parts import Canary, Parts
from retunable.release.store.points import Point
from tests.contract.publication.worlds import SITE, World, published, put, running, save

ROLLOUT = {"id": "r1", "salt": "s", "stages": [1, 50], "stage": 0, "control_percent": None}
FLAG = {"name": "beta", "percent": 10, "salt": "f", "set": {"temperature": 0.2}}
LATER = "2999-01-01T00:00:00Z"


def checksum_of(plane: ControlPlane, number: int) -> str:
    with plane.store.snapshot() as work:
        version = versions.version(work, SITE.agent, number)
    assert version is not None
    return version.checksum


def change(plane: ControlPlane, **parts: Any) -> Activated:
    def alter(_: Transaction, before: Parts) -> Parts:
        return replace(before, **parts)

    wish = Wish(reason="test", action="canary", keep_overrides=True, alter=alter)
    outcome = activate(plane, SITE, wish)
    assert isinstance(outcome, Activated), outcome
    return outcome


@pytest.fixture
def rolling(plane: ControlPlane) -> str:
    """Version 1 is stable, 2 its canary, one flag is on; return the canary's checksum."""
    for role in ("First", "Second", "Third"):
        save(plane, role)
    put(plane, SITE, 1)
    checksum = checksum_of(plane, 2)
    change(plane, canary=Canary(2, checksum), rollout=ROLLOUT, flags=(FLAG,))
    return checksum


def carried(plane: ControlPlane) -> bool:
    document = published(plane)
    return (
        document["canary"] is not None
        and document["canary"]["config"]["role"] == "Second"
        and document["rollout"] == ROLLOUT
        and document["flags"] == [FLAG]
    )


@pytest.mark.usefixtures("rolling")
def test_an_activation_carries_canary_rollout_and_flags_on(plane: ControlPlane) -> None:
    put(plane, SITE, 3)

    assert running(plane) == (3, 3, "Third")
    assert carried(plane)


@pytest.mark.usefixtures("rolling")
def test_an_override_carries_them_on(plane: ControlPlane) -> None:
    member = {"value": "By night", "expires_at": LATER}
    override(plane, SITE, {"role": member}, reason="night")

    assert published(plane)["overrides"] == {"role": member}
    assert carried(plane)


@pytest.mark.usefixtures("rolling")
def test_a_rollback_carries_them_on(plane: ControlPlane) -> None:
    put(plane, SITE, 3)
    roll_back(plane, SITE, Return(reason="back"))

    assert running(plane)[1] == 1
    assert carried(plane)


@pytest.mark.usefixtures("rolling")
def test_mending_a_drift_carries_them_on(plane: ControlPlane) -> None:
    plane.publisher.write({SITE.document: json_text({"agent_role": "by hand"})})

    assert isinstance(publish(plane, SITE), Published)
    assert carried(plane)


@pytest.mark.usefixtures("rolling")
def test_a_canary_that_becomes_stable_is_none_any_more(plane: ControlPlane) -> None:
    put(plane, SITE, 2)

    document = published(plane)
    assert (document["canary"], document["rollout"], document["flags"]) == (None, None, [FLAG])


def test_nothing_is_changed_beside_a_version_that_is_not_there(plane: ControlPlane) -> None:
    assert activate(plane, SITE, Wish(reason="x")) == NotActive("production")


@pytest.mark.usefixtures("rolling")
def test_who_may_not_change_them_writes_nothing(plane: ControlPlane) -> None:
    def refuse(_work: Transaction, _before: Parts) -> Refusal:
        return Overtaken("it is over")

    outcome = activate(plane, SITE, Wish(reason="x", alter=refuse))

    assert outcome == Overtaken("it is over")
    assert running(plane)[0] == 2
    assert state(plane, SITE).pending == ()


def test_an_abort_needs_the_configuration_store_alone(plane: ControlPlane, rolling: str) -> None:
    outcome = abort(plane.publisher, SITE)

    assert outcome == Aborted(generation=3, rollout="r1", checksum=rolling)
    document = published(plane)
    assert (document["canary"], document["rollout"]) == (None, None)
    assert (document["revoked"], document["flags"]) == ([rolling], [FLAG])
    assert abort(plane.publisher, SITE) == NoCanary()


@pytest.mark.parametrize("act", ["override", "activate", "publish"])
def test_no_later_publication_brings_an_aborted_canary_back(
    plane: ControlPlane, rolling: str, act: str
) -> None:
    abort(plane.publisher, SITE)
    match act:
        case "override":
            override(plane, SITE, {"role": {"value": "x", "expires_at": LATER}}, reason="x")
        case "activate":
            put(plane, SITE, 3)
        case _:
            publish(plane, SITE)

    document = published(plane)
    assert (document["canary"], document["rollout"]) == (None, None)
    assert document["revoked"] == [rolling]
    assert document["generation"] == 4
    assert state(plane, SITE).drift == ()


def test_a_publication_that_was_begun_before_an_abort_lands_nowhere(
    world: World, plane: ControlPlane, rolling: str
) -> None:
    """Its publisher is stopped before its write, with a generation far above the abort's."""
    _withdrawn_generations(plane, count=3)
    # Where both stores are one database nothing is ever begun and not published.
    point = Point.PUBLISHED if world.together else Point.PENDING
    with world.plane(reached=_die_at(point)) as stopped, pytest.raises(_Stopped):
        change(stopped, rollout={**ROLLOUT, "stage": 1})
    aborted = abort(plane.publisher, SITE)
    assert isinstance(aborted, Aborted)
    assert world.together or aborted.generation < state(plane, SITE).pending[-1].generation

    publish(plane, SITE)

    document = published(plane)
    assert (document["canary"], document["revoked"]) == (None, [rolling])


@pytest.mark.usefixtures("rolling")
def test_a_racing_abort_is_seen_by_a_publisher_that_looked_before_it(plane: ControlPlane) -> None:
    item = plane.publisher.read([SITE.document])[SITE.document]
    assert isinstance(item, Item)
    aborted = False

    def alter(_: Transaction, before: Parts) -> Parts:
        nonlocal aborted
        if not aborted:
            aborted = isinstance(abort(plane.publisher, SITE), Aborted)
        return (
            before if before.rollout is None else replace(before, rollout={**ROLLOUT, "stage": 1})
        )

    activate(plane, SITE, Wish(reason="grow", action="canary", keep_overrides=True, alter=alter))

    assert aborted
    assert published(plane)["canary"] is None


def _withdrawn_generations(plane: ControlPlane, *, count: int) -> None:
    """Generations that were begun and never published: the next one lies as much higher."""
    for _ in range(count):
        with plane.store.transaction() as work:
            now = deployments.active(work, SITE.agent, environment=SITE.environment)
            assert now is not None
            begun = deployments.begin(
                work,
                deployments.Intent(
                    agent=SITE.agent,
                    environment=SITE.environment,
                    action="canary",
                    version=now.version,
                    reason="x",
                    published=stored_document(None).generation,
                ),
            )
            assert isinstance(begun, deployments.Begun)
            deployments.withdraw(work, begun.deployment, reason="x")


class _Stopped(Exception):
    pass


def _die_at(point: Point) -> Any:
    def reached(now: Point) -> None:
        if now is point:
            raise _Stopped

    return reached
