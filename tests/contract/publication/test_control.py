"""What a control process makes of publications: it ends those left pending, and knows ours as ours."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

import pytest

from retunable.config.items import Item
from retunable.control.direct_writes import is_ours
from retunable.control.outbox import Outbox
from retunable.events.event import ObservedChange
from retunable.events.shown_value import shown_value
from retunable.release.opening import open_publisher
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.store import deployments
from tests.contract.publication.worlds import SITE, World, leave_pending, put, running, save

OTHER = Site(agent="billing", environment="staging", prefix="b/", document_key="bills")


def outbox(world: World, plane: ControlPlane, *, grace: timedelta = timedelta(0)) -> Outbox:
    return Outbox(plane.store, lambda: open_publisher(world.configuration), grace=grace)


def pending(plane: ControlPlane) -> int:
    with plane.store.snapshot() as work:
        return len(deployments.all_pending(work))


def test_what_killed_publishers_left_is_published_at_each_site(
    world: World, plane: ControlPlane
) -> None:
    store = plane.publisher.describe()
    leave_pending(plane.store, SITE, save(plane, "Support"), at=store)
    leave_pending(plane.store, OTHER, save(plane, "Billing", agent=OTHER.agent), at=store)

    done = outbox(world, plane).run_once()

    assert [one.deployment.state for one in done] == ["confirmed", "confirmed"]
    assert running(plane, SITE) == (1, 1, "Support")
    assert running(plane, OTHER) == (1, 1, "Billing")
    assert outbox(world, plane).run_once() == ()


def test_what_was_begun_on_another_store_is_left_to_others(
    world: World, plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    leave_pending(plane.store, SITE, save(plane, "Support"), at="redis://elsewhere:6379")
    box = outbox(world, plane)

    assert [*box.run_once(), *box.run_once()] == []
    assert pending(plane) == 1
    assert caplog.text.count("begun on another configuration store") == 1


def test_what_is_under_way_is_left_alone(world: World, plane: ControlPlane) -> None:
    leave_pending(plane.store, SITE, save(plane, "Support"), at=plane.publisher.describe())

    assert outbox(world, plane, grace=timedelta(minutes=5)).run_once() == ()


def test_an_activation_says_where_it_is_published(world: World, plane: ControlPlane) -> None:
    done = put(plane, OTHER, save(plane, "Billing", agent=OTHER.agent))

    assert done.deployment.data["site"] == {"prefix": "b/", "document": "b/bills"}
    assert done.deployment.data["store"] == plane.publisher.describe()


def change(site: Site, key: str, old: str | None, new: str | None) -> ObservedChange:
    now = int(time.time() * 1000)
    return ObservedChange(
        event_id=str(uuid.uuid4()),
        agent=site.agent,
        environment=site.environment,
        replica="r",
        at_ms=now,
        key=key,
        item="document" if key == site.document else "override",
        old=shown_value(key, old),
        new=shown_value(key, new),
        not_before_ms=now - 5_000,
        not_after_ms=now,
    )


def ours(plane: ControlPlane, *seen: Any) -> bool:
    with plane.store.snapshot() as work:
        return is_ours(work, change(*seen))


def document(plane: ControlPlane) -> str:
    item = plane.publisher.read([SITE.document])[SITE.document]
    assert isinstance(item, Item)
    return item.value


def test_a_release_and_what_it_cleared_are_ours(plane: ControlPlane) -> None:
    role = SITE.field_keys["role"]
    plane.publisher.write({role: "By hand"})
    assert not ours(plane, SITE, role, None, "By hand")

    put(plane, SITE, save(plane, "Support"))

    assert ours(plane, SITE, SITE.document, None, document(plane))
    assert ours(plane, SITE, role, "By hand", None)
    assert not ours(plane, SITE, role, "Another", None)
    assert not ours(plane, SITE, SITE.field_keys["goal"], "By hand", None)


def test_a_release_that_was_altered_or_put_back_by_hand_is_not(plane: ControlPlane) -> None:
    put(plane, SITE, save(plane, "First"))
    first = document(plane)
    put(plane, SITE, save(plane, "Second"))
    second = document(plane)

    assert ours(plane, SITE, SITE.document, first, second)
    assert not ours(plane, SITE, SITE.document, second, first)
    assert not ours(plane, SITE, SITE.document, first, second.replace("Second", "Evil"))


def test_a_release_of_another_agent_or_environment_explains_nothing(plane: ControlPlane) -> None:
    put(plane, SITE, save(plane, "Support"))
    text = document(plane)

    for other in (OTHER, Site(agent=SITE.agent, environment="staging", prefix="live/")):
        assert not ours(plane, other, other.document, None, text)
