"""The body of a rollout's workflow: what it asks for, in which order, and when it is over."""

from __future__ import annotations

from typing import Any

from retunable.agent.loop.effects import Call, ContinueAsNew, Wait
from retunable.control.rollouts.course import (
    ACT,
    JUDGE,
    LOOKS,
    PUBLISH,
    WORKFLOW,
    WORKFLOW_VERSION,
    course,
)

DATA = {"rollout": "r1"}
GOES_ON = {"over": False, "move": None, "wait_seconds": 5}


def walked(*looks: dict[str, Any]) -> tuple[list[str], Any]:
    """Run the body on the looks that its judge gives; return what it asked for, and its end."""
    asked: list[str] = []
    body, result = course(DATA), None
    given = iter(looks)
    while True:
        try:
            effect = body.send(result)
        except StopIteration as end:
            return asked, end.value
        match effect:
            case Call(activity):
                asked.append(activity)
                result = next(given) if activity == JUDGE else {}
            case Wait(seconds):
                asked.append(f"wait {seconds}")
                result = None


def test_it_publishes_judges_acts_and_waits_until_it_is_over() -> None:
    move = {**GOES_ON, "move": {"rollout": "r1"}}
    over = {"over": True, "move": None, "wait_seconds": 0}

    asked, end = walked(GOES_ON, move, over)

    assert asked == [PUBLISH, JUDGE, "wait 5", PUBLISH, JUDGE, ACT, "wait 5", PUBLISH, JUDGE]
    assert end is None


def test_its_history_is_bounded() -> None:
    asked, end = walked(*[GOES_ON] * LOOKS)

    assert len(asked) == 3 * LOOKS
    assert end == ContinueAsNew(DATA)


def test_its_names_are_compatibility_data() -> None:
    assert (WORKFLOW, WORKFLOW_VERSION) == ("retunable.rollout", "1")
    assert (PUBLISH, JUDGE, ACT) == (
        "retunable.rollout.publish",
        "retunable.rollout.judge",
        "retunable.rollout.act",
    )
