"""What single actions of a worker mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retunable.sidecar.workflow import engine, events
from retunable.sidecar.workflow.engine import Advanced, ContinuedAsNew, Stalled
from retunable.sidecar.workflow.instance import Instance, Status
from retunable.sidecar.workflow.protos import pb
from tests.unit.sidecar.workflow.scenes import APP, SECOND, again, call, child, complete, timer

INSTANCE = Instance(key=1, id="w", name="w", length=4, status=Status.RUNNING)
BEGAN = 1_000 * SECOND


def advanced(*actions: pb.WorkflowAction, now: int = BEGAN) -> Advanced:
    outcome = complete_turn(*actions, now=now)
    assert isinstance(outcome, Advanced)
    return outcome


def complete_turn(
    *actions: pb.WorkflowAction,
    instance: Instance = INSTANCE,
    now: int = BEGAN,
    version: pb.WorkflowVersion | None = None,
) -> engine.Outcome:
    answer = pb.WorkflowResponse(actions=actions, version=version)
    taken = [events.workflow_started(BEGAN), events.event_raised(BEGAN, name="e", input=None)]
    return engine.complete_turn(instance, taken, answer, app_id=APP, now=now)


def test_the_history_is_what_was_taken_and_then_what_was_decided() -> None:
    outcome = advanced(call(1), timer(2, BEGAN), child(3))
    kinds = [event.WhichOneof("eventType") for event in outcome.history]
    assert kinds == [
        "workflowStarted",
        "eventRaised",
        "taskScheduled",
        "timerCreated",
        "childWorkflowInstanceCreated",
    ]
    assert outcome.instance.length == INSTANCE.length + len(kinds)


def test_a_timer_is_as_far_away_as_the_workflow_reckoned_whatever_the_clock_did_meanwhile() -> None:
    hour = 3_600 * SECOND
    (later,) = advanced(timer(1, BEGAN + 5 * SECOND), now=BEGAN + SECOND).timers
    assert later.at == BEGAN + 5 * SECOND
    (put_back,) = advanced(timer(1, BEGAN + 5 * SECOND), now=BEGAN - hour).timers
    assert put_back.at == BEGAN - hour + 5 * SECOND


def test_a_timer_in_the_past_is_over_at_once() -> None:
    (one,) = advanced(timer(1, BEGAN - SECOND)).timers
    assert (one.at, one.delay) == (BEGAN - SECOND, 0)


def test_a_child_without_an_id_gets_one_that_is_the_same_at_each_replay() -> None:
    (one,) = advanced(child(11)).children
    assert one.id == "w:000b"


def test_an_activity_of_another_app_fails_and_names_dapr() -> None:
    outcome = advanced(call(1, targetAppID="other"))
    (answer,) = outcome.answers
    assert outcome.tasks == ()
    assert "use Dapr" in answer.taskFailed.failureDetails.errorMessage
    assert answer.taskFailed.taskScheduledId == 1


def test_an_activity_of_this_app_by_name_is_given_out() -> None:
    assert len(advanced(call(1, targetAppID=APP)).tasks) == 1


def test_a_propagated_history_fails_and_names_dapr() -> None:
    action = call(1)
    action.scheduleTask.historyPropagationScope = pb.HISTORY_PROPAGATION_SCOPE_LINEAGE
    (answer,) = advanced(action).answers
    assert "use Dapr" in answer.taskFailed.failureDetails.errorMessage


def test_an_action_that_is_not_served_fails_the_workflow_by_its_name() -> None:
    send = pb.WorkflowAction(id=1, sendEvent=pb.SendEventAction(name="e"))
    outcome = advanced(send)
    assert outcome.instance.status is Status.FAILED
    assert outcome.completed is not None
    failure = outcome.completed.executionCompleted.failureDetails
    assert "sendEvent" in failure.errorMessage
    assert "use Dapr" in failure.errorMessage


def test_only_the_first_completion_counts() -> None:
    outcome = advanced(complete(1, '"first"'), complete(2, '"second"'))
    assert outcome.completed is not None
    assert outcome.completed.executionCompleted.result.value == '"first"'
    assert len(outcome.history) == 3


def test_continuing_as_new_ignores_every_other_action() -> None:
    outcome = complete_turn(call(1), again())
    assert isinstance(outcome, ContinuedAsNew)
    assert outcome.input is not None
    assert outcome.input.value == '"next"'


def test_the_version_is_noted_where_the_turn_began() -> None:
    outcome = complete_turn(call(1), version=pb.WorkflowVersion(name="v2"))
    assert isinstance(outcome, Advanced)
    assert outcome.history[0].workflowStarted.version.name == "v2"
    assert outcome.instance.version == "v2"


def test_only_patches_that_are_new_are_noted() -> None:
    patched = replace(INSTANCE, patches=("a",))
    outcome = complete_turn(
        call(1), instance=patched, version=pb.WorkflowVersion(patches=["a", "b"])
    )
    assert isinstance(outcome, Advanced)
    assert list(outcome.history[0].workflowStarted.version.patches) == ["b"]
    assert outcome.instance.patches == ("a", "b")


@pytest.mark.parametrize("patches", [[], ["b"], ["b", "a"]])
def test_code_without_a_patch_that_the_history_has_stalls(patches: list[str]) -> None:
    patched = replace(INSTANCE, patches=("a",))
    outcome = complete_turn(call(1), instance=patched, version=pb.WorkflowVersion(patches=patches))
    assert isinstance(outcome, Stalled)
    assert outcome.reason == pb.PATCH_MISMATCH


def test_a_version_that_is_not_there_stalls() -> None:
    missing = pb.WorkflowAction(
        id=1, workflowVersionNotAvailable=pb.WorkflowVersionNotAvailableAction()
    )
    outcome = complete_turn(missing, instance=replace(INSTANCE, version="v1"))
    assert outcome == Stalled(pb.VERSION_NOT_AVAILABLE, "Version not available: v1")
