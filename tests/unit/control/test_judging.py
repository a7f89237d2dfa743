"""What a rollout does on a verdict, on an alarm's word and in each of its states."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from retunable.control.rollouts.judging import Heard, decide
from retunable.control.rollouts.prometheus import Ringing
from retunable.release.store.records import Stamp
from retunable.release.store.rollouts import Rollout, RolloutState
from retunable.rollout.policy_document import Alarm, AlarmAction
from retunable.rollout.tally import Arms
from retunable.rollout.verdict import Decision, Verdict


def made(
    decision: Decision, state: RolloutState = "running", *heard: Heard
) -> tuple[str, int | None, int | None] | None:
    """The move: its state, its stage and the step that it is based on."""
    stamp = Stamp(sequence=1, at=datetime.now(UTC), actor="a", claimed=None, reason="r")
    row = Rollout(
        stamp=stamp,
        id="r",
        agent="a",
        environment="e",
        version=2,
        checksum="c",
        plan={},
        state=state,
        stage=1,
        step=9,
    )
    verdict = Verdict(decision=decision, reason="why", matured=Arms())
    move = decide(row, verdict, heard, {})
    return None if move is None else (move.state, move.stage, move.based_on)


def an_alarm(says: Ringing, then: AlarmAction = "hold") -> Heard:
    return Heard(Alarm(url="http://p", query="up", above=0, then=then), says)


@pytest.mark.parametrize(
    ("decision", "move"),
    [
        (Decision.ROLL_BACK, ("rolled back", None, 9)),
        (Decision.STOP, ("stopped", None, 9)),
        (Decision.HOLD, ("held", None, 9)),
        (Decision.CONTINUE, None),
        (Decision.GROW, ("running", 2, 9)),
        (Decision.PROMOTE, ("promoted", None, 9)),
    ],
)
def test_a_running_rollout_does_what_the_verdict_says(decision: Decision, move: object) -> None:
    assert made(decision) == move


@pytest.mark.parametrize("state", ["paused", "held"])
@pytest.mark.parametrize("decision", [Decision.GROW, Decision.PROMOTE, Decision.HOLD])
def test_a_paused_or_held_one_never_grows(state: RolloutState, decision: Decision) -> None:
    assert made(decision, state) is None


@pytest.mark.parametrize("state", ["paused", "held"])
def test_a_paused_or_held_one_still_goes_back_by_itself(state: RolloutState) -> None:
    assert made(Decision.ROLL_BACK, state) == ("rolled back", None, 9)
    firing = an_alarm(Ringing.FIRES, "roll back")
    assert made(Decision.CONTINUE, state, firing) == ("rolled back", None, 9)


def test_an_alarm_takes_back_or_holds_whatever_the_verdict_says() -> None:
    back = an_alarm(Ringing.FIRES, "roll back")
    assert made(Decision.PROMOTE, "running", back) == ("rolled back", None, 9)
    assert made(Decision.PROMOTE, "running", an_alarm(Ringing.FIRES)) == ("held", None, 9)


@pytest.mark.parametrize("decision", [Decision.GROW, Decision.PROMOTE])
def test_what_an_alarm_cannot_be_asked_about_does_not_grow(decision: Decision) -> None:
    assert made(decision, "running", an_alarm(Ringing.UNKNOWN)) is None
    assert made(decision, "running", an_alarm(Ringing.SILENT)) == made(decision)


@pytest.mark.parametrize("decision", [Decision.CONTINUE, Decision.HOLD])
def test_a_silent_alarm_promotes_nothing(decision: Decision) -> None:
    assert made(decision, "running", an_alarm(Ringing.SILENT)) == made(decision)
