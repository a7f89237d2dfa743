"""A process of its own that writes to a release store, for the tests that race or kill one.

python -m tests.contract.release.program race URL NAME ROUNDS
python -m tests.contract.release.program activate URL POINT
"""

from __future__ import annotations

import os
import signal
import sys

from retunable.release.store import deployments, versions
from retunable.release.store.deployments import Begun, Conflict
from retunable.release.store.points import Point
from retunable.release.store.release_store import ReleaseStore, open_release_store
from retunable.release.store.versions import Draft, Saved
from tests.contract.release.steps import config_json, intent

PLACES = (("support", "production"), ("sales", "staging"))


def main(task: str, url: str, *rest: str) -> None:
    match task:
        case "race":
            name, rounds = rest
            print("ready", flush=True)
            sys.stdin.readline()
            with open_release_store(url) as store:
                for number in range(int(rounds)):
                    race(store, f"{name}-{number}", turn=number)
        case "activate":
            (point,) = rest
            activate(url, Point(point))
        case _:
            raise SystemExit(f"no task {task}")


def race(store: ReleaseStore, role: str, *, turn: int) -> None:
    """Save a version, and activate it; every third time only over what was seen before."""
    agent, environment = PLACES[turn % 2]
    with store.transaction() as work:
        saved = versions.save(work, Draft(agent=agent, config=config_json(role=role), reason=role))
    assert isinstance(saved, Saved)
    with store.snapshot() as work:
        seen = deployments.active(work, agent, environment=environment)
    expect = (seen.version if seen and seen.version else 0) if turn % 3 == 0 else None
    wanted = intent(
        saved.version.number, agent=agent, environment=environment, expect=expect, reason=role
    )
    with store.transaction() as work:
        outcome = deployments.begin(work, wanted)
        match outcome:
            case Begun(deployment):
                deployments.confirm(work, deployment)
                print("activated", agent, deployment.generation, flush=True)
            case Conflict(winner=winner) if winner is not None:
                print("lost", agent, winner.generation, flush=True)
            case _:
                raise AssertionError(outcome)


def activate(url: str, point: Point) -> None:
    """Activate version 2 as over two databases, and die at a point by SIGKILL."""

    def reached(now: Point) -> None:
        if now is point:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_release_store(url, reached=reached) as store:
        with store.transaction() as work:
            begun = deployments.begin(work, intent(2, expect=1))
        assert isinstance(begun, Begun)
        store.reached(Point.PENDING)
        store.reached(Point.PUBLISHED)
        with store.transaction() as work:
            deployments.confirm(work, begun.deployment)
        store.reached(Point.SETTLED)


if __name__ == "__main__":
    main(*sys.argv[1:])
