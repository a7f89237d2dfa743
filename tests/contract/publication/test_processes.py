"""Publishers that are killed, stopped and raced: real processes, every pair of stores."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from dev.resources import CHECKOUT
from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.outcomes import Activated
from retunable.release.publishing.site import ControlPlane
from retunable.release.publishing.state import Published, publish, state
from retunable.release.store import audit, versions
from retunable.release.store.chain import Head, follow
from retunable.release.store.points import Point
from tests.contract.publication.worlds import SALES, SITE, SITES, STAGING, World, put, running, save
from tests.contract.racing import PROCESSES, ROUNDS

IN_STEPS = tuple(Point)
TOGETHER = tuple(point for point in Point if point is not Point.PENDING)
PROGRAMS = "tests.contract.publication"
ELSEWHERE = (STAGING, SALES)


@dataclass(frozen=True, slots=True)
class Publisher:
    """A process that has stopped itself at a point, or has ended."""

    process: subprocess.Popen[str]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=30)

    def go_on(self) -> str:
        """Let it run to its end and return what it says last."""
        os.kill(self.process.pid, signal.SIGCONT)
        said, errors = self.process.communicate(timeout=50)
        assert self.process.returncode == 0, errors
        return said


@contextmanager
def stopped_at(world: World, point: Point, *, version: int) -> Iterator[Publisher]:
    """A process that activates a version and stops at a point."""
    command = [sys.executable, "-m", f"{PROGRAMS}.publisher_program", world.releases]
    command += [world.configuration.text, str(version), point.value]
    process = subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        assert said == point.value, process.communicate()[1]
        yield Publisher(process)
    finally:
        process.kill()
        process.communicate()


def put_elsewhere(plane: ControlPlane) -> list[tuple[int, int, str]]:
    """Publish the same agent in another environment and another agent; what runs there then."""
    save(plane, "Theirs", agent=SALES.agent)
    for site in ELSEWHERE:
        put(plane, site, 1)
    return [running(plane, site) for site in ELSEWHERE]


def activations(plane: ControlPlane, version: int) -> int:
    """How often the audit shows that a version was activated and confirmed."""
    with plane.store.snapshot() as work:
        assert isinstance(follow(audit.entries(work)), Head)
        ours = list(audit.entries(work, agent=SITE.agent, environment=SITE.environment))
    return sum(entry.action == "confirm" and entry.version == version for entry in ours)


def test_an_activation_passes_every_named_point_in_order(world: World) -> None:
    passed: list[Point] = []
    with world.plane(reached=passed.append) as plane:
        put(plane, SITE, save(plane, "First"))

    assert tuple(passed) == (TOGETHER if world.together else IN_STEPS)
    assert (len(TOGETHER), len(IN_STEPS)) == (5, 6)


@pytest.mark.parametrize("point", list(Point))
def test_a_publisher_killed_anywhere_leaves_one_right_state(
    world: World, plane: ControlPlane, point: Point
) -> None:
    if point not in (TOGETHER if world.together else IN_STEPS):
        return  # counted above: this pair of stores has no such moment
    put(plane, SITE, save(plane, "Old"))
    others = put_elsewhere(plane)
    new = save(plane, "New")
    with stopped_at(world, point, version=new) as publisher:
        publisher.kill()

    assert isinstance(publish(plane, SITE), Published)

    committed = {Point.SETTLED} if world.together else set(IN_STEPS[2:])
    assert running(plane) == ((2, 2, "New") if point in committed else (1, 1, "Old"))
    assert activations(plane, new) == (1 if point in committed else 0)
    assert [running(plane, site) for site in ELSEWHERE] == others
    found = state(plane, SITE)
    assert (found.drift, found.pending) == ((), ())


def test_a_publisher_stopped_before_its_write_lands_nowhere_once_another_has_published(
    world: World, plane: ControlPlane
) -> None:
    if world.together:
        return  # reading, deciding and writing are one transaction there
    put(plane, SITE, save(plane, "Old"))
    others = put_elsewhere(plane)
    slow, quick = save(plane, "Slow"), save(plane, "Quick")
    with stopped_at(world, Point.PENDING, version=slow) as publisher:
        put(plane, SITE, quick)
        before = plane.publisher.read([SITE.document])

        said = publisher.go_on()

    assert plane.publisher.read([SITE.document]) == before
    assert running(plane) == (3, 3, "Quick")
    assert "superseded_by=3" in said
    assert (activations(plane, slow), activations(plane, quick)) == (1, 1)
    assert [running(plane, site) for site in ELSEWHERE] == others
    assert state(plane, SITE).drift == ()


@pytest.mark.parametrize("point", [Point.LOCKED, Point.RECORDED, Point.PUBLISHED])
def test_a_publisher_stopped_inside_its_transaction_holds_nobody_up_for_ever(
    world: World, plane: ControlPlane, point: Point
) -> None:
    if not world.together:
        return
    put(plane, SITE, save(plane, "Old"))
    slow, quick = save(plane, "Slow"), save(plane, "Quick")
    with stopped_at(world, point, version=slow):
        put(plane, SITE, quick)
    assert running(plane) == (2, 3, "Quick")
    assert activations(plane, slow) == 0


@pytest.mark.slow
@pytest.mark.timeout(590)
def test_racing_processes_leave_numbers_without_gap_a_whole_chain_and_the_last_generation(
    world: World, plane: ControlPlane
) -> None:
    both = (world.releases, world.configuration.text)
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", f"{PROGRAMS}.racing_program", *both, str(number), str(ROUNDS)],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    ended = [racer.communicate(timeout=500) for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * PROCESSES, ended
    won = [turn for said, _ in ended for turn in json.loads(said)]
    assert len(won) == PROCESSES * ROUNDS
    with plane.store.snapshot() as work:
        assert isinstance(follow(audit.entries(work)), Head)
    for agent in {site.agent for site in SITES}:
        saved = sorted(turn["version"] for turn in won if SITES[turn["site"]].agent == agent)
        assert saved == list(range(1, len(saved) + 1))
        with plane.store.snapshot() as work:
            assert [one.number for one in versions.versions(work, agent)] == saved[::-1]
    for place, site in enumerate(SITES):
        mine = {turn["generation"]: turn for turn in won if turn["site"] == place}
        assert len(mine) == sum(turn["site"] == place for turn in won)
        last = mine[max(mine)]
        assert running(plane, site) == (last["generation"], last["version"], last["role"])
        found = state(plane, site)
        assert (found.drift, found.pending) == ((), ())


def test_the_same_activation_twice_is_two_of_them_and_both_are_whole(plane: ControlPlane) -> None:
    save(plane, "First")
    for _ in range(2):
        assert isinstance(activate(plane, SITE, Wish(version=1, reason="x")), Activated)
    assert activations(plane, 1) == 2
