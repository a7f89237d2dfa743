"""Field keys through the release store: told before they are written, compared, ended; every pair of stores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from dev.resources import CHECKOUT
from retunable.config.items import Item
from retunable.errors import StoreWriteError
from retunable.release.publishing.operations import reset
from retunable.release.publishing.outcomes import Activated
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.publishing.state import state
from retunable.release.publishing.tuning import Tuning, tune
from retunable.release.store import audit
from retunable.release.store.points import Point
from retunable.release.store.records import Entry
from retunable.release.store.verifying import verify
from tests.contract.publication.worlds import SITE, World, published, put, running, save

ROLE, GOAL = SITE.field_keys["role"], SITE.field_keys["goal"]
STAGING = Site(agent=SITE.agent, environment="staging", prefix="staging/")
SALES = Site(agent="sales-bot", environment="production", prefix="sales/")


def setting(text: str, key: str = ROLE) -> Tuning:
    return Tuning(action="set", changes={key: text}, fields=("role",), reason="why")


def told(plane: ControlPlane, site: Site = SITE) -> list[Entry]:
    """The audit's entries about a site, which must be whole."""
    with plane.store.snapshot() as work:
        assert verify(work).problems == ()
        return list(audit.entries(work, agent=site.agent, environment=site.environment))


def value(plane: ControlPlane, key: str = ROLE) -> str | None:
    item = plane.publisher.read([key]).get(key)
    return item.value if isinstance(item, Item) else None


def test_a_set_is_told_from_what_to_what_by_whom_and_that_it_was_written(
    plane: ControlPlane,
) -> None:
    plane.publisher.write({ROLE: "By hand"})
    tune(replace(plane, claimed="maria"), SITE, setting("Tuned"))
    announced, ended = told(plane)

    assert value(plane) == "Tuned"
    assert (announced.action, ended.action) == ("set", "confirm")
    assert announced.data["changes"] == {ROLE: {"old": "By hand", "new": "Tuned"}}
    assert announced.data["fields"] == ["role"]
    assert (announced.stamp.claimed, announced.stamp.reason) == ("maria", "why")
    assert announced.stamp.actor not in {"", "maria"}
    assert ended.data["change"] == announced.stamp.sequence


def test_an_unset_is_told_with_what_stood_there(plane: ControlPlane) -> None:
    plane.publisher.write({ROLE: "By hand", GOAL: "Stays"})
    tune(plane, SITE, Tuning(action="unset", changes={ROLE: None}, fields=("role",)))
    announced, _ = told(plane)

    assert (value(plane), value(plane, GOAL)) == (None, "Stays")
    assert announced.action == "unset"
    assert announced.data["changes"] == {ROLE: {"old": "By hand", "new": None}}


def test_nothing_is_written_over_what_was_not_shown(plane: ControlPlane, world: World) -> None:
    shown = plane.publisher.read([SITE.document, ROLE])
    plane.publisher.write({ROLE: "Somebody else's"})

    with pytest.raises(StoreWriteError, match="somebody else"):
        tune(plane, SITE, setting("Late"), shown=shown)
    assert value(plane) == "Somebody else's"
    assert [entry.action for entry in told(plane)] == (
        [] if world.together else ["set", "withdraw"]
    )


def test_nothing_is_written_above_a_release_that_was_not_shown(plane: ControlPlane) -> None:
    shown = plane.publisher.read([SITE.document, ROLE])
    put(plane, SITE, save(plane, "Released"))

    with pytest.raises(StoreWriteError, match="somebody else"):
        tune(plane, SITE, setting("Late"), shown=shown)
    assert value(plane) is None


def test_another_agent_and_another_environment_are_not_touched(plane: ControlPlane) -> None:
    for site in (SITE, STAGING, SALES):
        tune(plane, site, setting(f"for {site.prefix}", site.field_keys["role"]))
    tune(plane, SITE, Tuning(action="unset", changes={ROLE: None}, fields=("role",)))

    assert [value(plane, site.field_keys["role"]) for site in (SITE, STAGING, SALES)] == [
        None,
        "for staging/",
        "for sales/",
    ]
    assert [len(told(plane, site)) for site in (SITE, STAGING, SALES)] == [4, 2, 2]


def test_a_text_is_told_and_written_byte_for_byte(plane: ControlPlane) -> None:
    text = "'; DROP TABLE x; -- Zoë 你好 \u2028 {{7*7}} \\ \" \r\n\t\x01 | \U0001f600"
    tune(plane, SITE, setting(text))

    assert value(plane) == text
    assert told(plane)[0].data["changes"][ROLE]["new"] == text


def test_a_reset_goes_above_what_was_published_and_takes_the_field_keys_with_it(
    plane: ControlPlane,
) -> None:
    put(plane, SITE, save(plane, "Released"))
    put(plane, STAGING, 1)
    plane.publisher.write({ROLE: "By hand"})
    outcome = reset(plane, SITE, reason="start anew")

    assert isinstance(outcome, Activated)
    assert (published(plane)["reset"], published(plane)["generation"]) == (True, 2)
    assert (value(plane), set(outcome.cleared)) == (None, {ROLE})
    assert state(plane, SITE).drift == ()
    assert running(plane, STAGING) == (1, 1, "Released")
    assert [e.action for e in told(plane) if e.environment][-2:] == ["reset", "confirm"]

    put(plane, SITE, 1)
    assert running(plane) == (3, 1, "Released")


@contextmanager
def stopped_at(world: World, point: Point, text: str) -> Iterator[subprocess.Popen[str]]:
    """A process that sets the role and stops at a point."""
    program = [sys.executable, "-m", "tests.contract.publication.tuning_program"]
    process = subprocess.Popen(
        [*program, world.releases, world.configuration.text, ROLE, text, point.value],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        assert said == point.value, process.communicate()[1]
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("point", [Point.PENDING, Point.PUBLISHED])
def test_a_set_killed_on_the_way_was_told_before_and_has_no_end(
    world: World, plane: ControlPlane, point: Point
) -> None:
    if world.together:
        return  # one transaction: there is no such moment
    with stopped_at(world, point, "Killed") as process:
        process.kill()
        process.wait(timeout=30)

    assert [entry.action for entry in told(plane)] == ["set"]
    assert value(plane) == ("Killed" if point is Point.PUBLISHED else None)
    tune(plane, SITE, setting("Next"))
    assert value(plane) == "Next"


def test_a_set_stopped_before_its_write_lands_nowhere_once_a_release_was_published(
    world: World, plane: ControlPlane
) -> None:
    if world.together:
        return
    with stopped_at(world, Point.PENDING, "Late") as process:
        put(plane, SITE, save(plane, "Released"))
        os.kill(process.pid, signal.SIGCONT)
        said, errors = process.communicate(timeout=50)

    assert said.startswith("refused: "), errors
    assert (value(plane), running(plane)) == (None, (1, 1, "Released"))
    assert [e.action for e in told(plane) if e.data.get("change") or e.action == "set"] == [
        "set",
        "withdraw",
    ]
