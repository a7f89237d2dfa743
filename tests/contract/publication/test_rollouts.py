"""A rollout is what is published of it: each move is one publication, made once or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from retunable.release.publishing.aborting import abort
from retunable.release.publishing.flags import publish_flags, with_new
from retunable.release.publishing.outcomes import Activated, Outcome, Overtaken, Unpublishable
from retunable.release.publishing.rollouts import Move, Start, carry_out, start
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.publishing.state import publish
from retunable.release.store import policies, rollouts
from retunable.release.store.deployments import NotApproved
from retunable.release.store.points import Point
from retunable.release.store.rollouts import AlreadyLive, Rollout, RolloutState
from retunable.release.store.verifying import verify
from tests.contract.publication.worlds import SITE, World, published, put, save

STAGING = replace(SITE, environment="staging", prefix="staging/")


def begin(plane: ControlPlane, site: Site = SITE, *, id: str = "r1") -> Outcome:  # noqa: A002
    share = {"id": id, "salt": "s", "stages": [1, 50], "control_percent": None}
    return start(plane, site, Start(version=2, reason="try", share=share, plan={"why": "test"}))


def now(plane: ControlPlane, id: str = "r1") -> Rollout:  # noqa: A002
    with plane.store.snapshot() as work:
        found = rollouts.rollout(work, id)
    assert found is not None
    return found


def move(plane: ControlPlane, state: RolloutState, **more: Any) -> Outcome | Rollout:
    return carry_out(plane, SITE, Move(rollout="r1", state=state, reason="test", **more))


@pytest.fixture
def saved(plane: ControlPlane) -> None:
    save(plane, "First")
    save(plane, "Second")
    put(plane, SITE, 1)


@pytest.fixture
def running(plane: ControlPlane, saved: None) -> Rollout:
    assert isinstance(begin(plane), Activated)
    return now(plane)


def canary(plane: ControlPlane, site: Site = SITE) -> tuple[int, int] | None:
    """The published canary's version and stage."""
    document = published(plane, site)
    if document["canary"] is None:
        return None
    return document["canary"]["version"], document["rollout"]["stage"]


def test_a_start_publishes_the_first_stage(plane: ControlPlane, running: Rollout) -> None:
    assert canary(plane) == (2, 0)
    assert (running.state, running.stage, running.plan) == ("running", 0, {"why": "test"})


def test_a_second_start_names_the_first(plane: ControlPlane, running: Rollout) -> None:
    outcome = begin(plane, id="r2")

    assert isinstance(outcome, AlreadyLive)
    assert outcome.rollout.id == "r1"


@pytest.mark.usefixtures("saved")
def test_a_version_without_approval_starts_nothing(plane: ControlPlane) -> None:
    with plane.store.transaction() as work:
        policies.set_policy(
            work, SITE.agent, environment="production", reason="x", require_approval=1
        )

    assert isinstance(begin(plane), NotApproved)
    with plane.store.snapshot() as work:
        assert rollouts.all_live(work) == ()


@pytest.mark.usefixtures("saved")
def test_an_override_that_hides_the_difference_is_refused(plane: ControlPlane) -> None:
    plane.publisher.write({"live/agent_role": "By hand"})
    outcome = begin(plane)

    assert isinstance(outcome, Unpublishable)
    assert "override of role" in outcome.reason


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize(
    ("flag", "hides"),
    [
        ({"percent": 100}, True),
        ({"percent": 50}, False),
        ({"percent": 100, "enabled": False}, False),
        ({"percent": 100, "expires_at": "2020-01-01T00:00:00Z"}, False),
        ({"when": [{"attribute": "plan", "in": ["pro"]}]}, False),
    ],
)
def test_a_flag_that_hides_the_difference_from_everybody_is_refused(
    plane: ControlPlane, flag: dict[str, Any], hides: bool
) -> None:
    made = {"name": "beta", "set": {"role": "Of the flag"}, **flag}
    assert isinstance(publish_flags(plane, SITE, with_new(made), reason="x"), Activated)

    assert isinstance(begin(plane), Unpublishable) is hides


def test_to_grow_publishes_the_next_stage(plane: ControlPlane, running: Rollout) -> None:
    move(plane, "running", stage=1, based_on=running.step, numbers={"users": 60})

    assert canary(plane) == (2, 1)
    assert now(plane).stage == 1
    with plane.store.snapshot() as work:
        assert rollouts.steps(work, "r1")[-1].numbers == {"users": 60}


def test_a_promotion_makes_the_canary_stable(plane: ControlPlane, running: Rollout) -> None:
    move(plane, "promoted", based_on=running.step)

    document = published(plane)
    assert (document["stable"]["version"], document["canary"], document["revoked"]) == (2, None, [])
    assert now(plane).state == "promoted"


def test_a_canary_that_goes_back_is_revoked(plane: ControlPlane, running: Rollout) -> None:
    move(plane, "rolled back", based_on=running.step)

    document = published(plane)
    assert (document["stable"]["version"], document["canary"]) == (1, None)
    assert document["revoked"] == [running.checksum]
    assert now(plane).state == "rolled back"


def test_a_pause_publishes_nothing(plane: ControlPlane, running: Rollout) -> None:
    before = published(plane)
    move(plane, "paused")

    assert published(plane) == before
    assert now(plane).state == "paused"


@pytest.mark.parametrize("state", ["promoted", "rolled back", "held"])
def test_what_was_decided_on_an_older_step_is_not_done(
    plane: ControlPlane, running: Rollout, state: RolloutState
) -> None:
    move(plane, "paused")
    before = published(plane)

    assert isinstance(move(plane, state, based_on=running.step), Overtaken)
    assert published(plane) == before
    assert now(plane).state == "paused"


def test_a_move_made_twice_is_made_once(plane: ControlPlane, running: Rollout) -> None:
    for _ in range(2):
        move(plane, "rolled back", based_on=running.step)
    with plane.store.snapshot() as work:
        assert len(rollouts.steps(work, "r1")) == 1


def test_an_abort_without_the_release_store_is_written_down_later(
    plane: ControlPlane, running: Rollout
) -> None:
    abort(plane.publisher, SITE)
    assert now(plane).is_live
    publish(plane, SITE)

    assert now(plane).state == "aborted"
    assert canary(plane) is None


@pytest.mark.parametrize("state", ["promoted", "running"])
def test_what_was_decided_before_an_abort_brings_nothing_back(
    plane: ControlPlane, running: Rollout, state: RolloutState
) -> None:
    abort(plane.publisher, SITE)
    outcome = move(plane, state, based_on=running.step, stage=1 if state == "running" else None)

    assert isinstance(outcome, Overtaken)
    publish(plane, SITE)
    assert (now(plane).state, canary(plane)) == ("aborted", None)
    assert published(plane)["stable"]["version"] == 1


def test_who_activates_the_canary_by_hand_has_promoted_it(
    plane: ControlPlane, running: Rollout
) -> None:
    put(plane, SITE, 2)

    assert now(plane).state == "promoted"


def test_nothing_crosses_between_environments(plane: ControlPlane, running: Rollout) -> None:
    put(plane, STAGING, 1)
    assert isinstance(begin(plane, STAGING, id="r2"), Activated)
    move(plane, "rolled back")

    assert canary(plane, STAGING) == (2, 0)
    assert now(plane, "r2").is_live


@pytest.mark.parametrize(
    ("state", "point"),
    [*(("promoted", point) for point in Point), ("running", Point.PUBLISHED)],
)
def test_a_move_that_is_killed_anywhere_is_made_or_not_made(
    world: World, plane: ControlPlane, running: Rollout, state: RolloutState, point: Point
) -> None:
    change = Move(
        rollout="r1",
        state=state,
        reason="test",
        based_on=running.step,
        stage=1 if state == "running" else None,
    )
    with world.plane(reached=_die_at(point)) as killed:
        try:
            carry_out(killed, SITE, change)
        except _Killed:
            pass
        else:
            assert world.together  # it passes no point between two databases
    publish(plane, SITE)
    carry_out(plane, SITE, change)

    with plane.store.snapshot() as work:
        assert len(rollouts.steps(work, "r1")) == 1
        assert verify(work).intact
    expected = {"promoted": None, "running": (2, 1)}
    assert (now(plane).state, canary(plane)) == (state, expected[state])


class _Killed(BaseException):
    pass


def _die_at(point: Point) -> Any:
    def reached(now: Point) -> None:
        if now is point:
            raise _Killed

    return reached
