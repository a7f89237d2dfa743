"""What a worker's answers do: taken once, in their history, and nothing that comes late."""

from __future__ import annotations

from retunable.sidecar.workflow import events, tables
from retunable.sidecar.workflow.instance import Status, TaskToken, TurnToken
from retunable.sidecar.workflow.protos import pb
from tests.unit.sidecar.workflow.scenes import (
    SECOND,
    Scene,
    again,
    call,
    child,
    complete,
    fail,
    timer,
)


def test_a_workflow_without_activities_completes_in_its_first_turn() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", complete(1, '"done"'))
    assert scene.status("w") is Status.COMPLETED
    assert scene.history("w") == ["workflowStarted", "executionStarted", "executionCompleted"]


def test_a_turn_is_answered_once() -> None:
    scene = Scene()
    scene.start("w")
    token = scene.token("w")
    assert scene.answer_to(token, call(1)) is not None
    assert scene.answer_to(token, call(1)) is None
    assert scene.history("w").count("taskScheduled") == 1


def test_an_answer_from_before_a_restart_is_taken() -> None:
    scene = Scene()
    scene.start("w")
    sent = str(scene.token("w"))
    token = TurnToken.parse(sent)
    assert token is not None
    assert scene.answer_to(token, call(1)) is not None


def test_a_turn_keeps_the_clock_that_its_worker_saw() -> None:
    scene = Scene()
    scene.start("w")
    token = scene.token("w")
    scene.now += 60 * SECOND
    scene.answer_to(token, call(1))
    began = events.read(tables.history(scene.connection, token.key)[0])
    assert events.nanoseconds(began.timestamp) == token.at


def test_an_event_that_comes_during_a_turn_is_taken_by_the_next_one() -> None:
    scene = Scene()
    scene.start("w")
    token = scene.token("w")
    scene.raise_event("w")
    scene.answer_to(token, call(1))
    assert scene.history("w") == ["workflowStarted", "executionStarted", "taskScheduled"]
    assert scene.takes("w") == ["eventRaised"]


def test_an_activity_is_resolved_once() -> None:
    scene = Scene()
    scene.start("w")
    (task,) = scene.answer("w", call(1)).tasks
    assert scene.result(task).runnable
    assert not scene.result(task, "2").runnable
    assert scene.takes("w") == ["taskCompleted"]


def test_a_result_from_before_a_restart_is_taken() -> None:
    scene = Scene()
    scene.start("w")
    (task,) = scene.answer("w", call(1)).tasks
    token = TaskToken.parse(str(task.token))
    assert token is not None
    assert scene.result(token).runnable


def test_a_result_for_an_earlier_history_is_late() -> None:
    scene = Scene()
    scene.start("w")
    (task,) = scene.answer("w", call(1)).tasks
    scene.raise_event("w")
    scene.answer("w", again())
    (anew,) = scene.answer("w", call(1)).tasks
    assert not scene.result(task).runnable
    assert scene.result(anew).runnable


def test_a_result_for_an_earlier_instance_of_the_same_id_is_late() -> None:
    scene = Scene()
    scene.start("w")
    (task,) = scene.answer("w", call(1)).tasks
    scene.terminate("w")
    scene.start("w")
    scene.answer("w", call(1))
    assert not scene.result(task).runnable


def test_continuing_as_new_keeps_unused_events_and_those_that_came_meanwhile_in_order() -> None:
    scene = Scene()
    scene.begun("w")
    scene.raise_event("w", "first")
    token = scene.token("w")
    scene.raise_event("w", "second")
    scene.answer_to(token, again(events.event_raised(0, name="first", input=None)))
    turn = scene.turn("w")
    assert turn is not None
    taken = [events.read(one) for one in turn.new]
    assert taken[0].executionStarted.input.value == '"next"'
    assert [one.eventRaised.name for one in taken[1:]] == ["first", "second"]
    assert scene.history("w") == []


def test_continuing_as_new_drops_what_belongs_to_the_old_history() -> None:
    scene = Scene()
    scene.start("w")
    one, two = scene.answer("w", call(1), call(2), timer(3, scene.now + SECOND)).tasks
    scene.result(one)
    token = scene.token("w")
    scene.result(two)
    scene.answer_to(token, again())
    scene.now += 2 * SECOND
    scene.fire_timers()
    assert scene.takes("w") == ["executionStarted"]


def test_a_timer_is_delivered_when_it_is_over_and_not_before() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", timer(1, scene.now + 5 * SECOND))
    scene.now += 4 * SECOND
    changes, due = scene.fire_timers()
    assert not changes.runnable
    scene.now += SECOND
    changes, due = scene.fire_timers()
    assert list(changes.runnable) == [scene.instance("w").key]
    assert due is None
    assert scene.takes("w") == ["timerFired"]


def test_a_wait_without_limit_sets_no_timer() -> None:
    scene = Scene()
    scene.start("w")
    changes = scene.answer("w", timer(1, events.NEVER))
    assert not changes.timers
    assert scene.fire_timers()[1] is None
    assert "timerCreated" in scene.history("w")


def test_a_child_reports_to_its_parent() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", child(3))
    scene.answer("w:0003", complete(result='"r"'))
    turn = scene.turn("w")
    assert turn is not None
    (told,) = (events.read(one).childWorkflowInstanceCompleted for one in turn.new)
    assert (told.taskScheduledId, told.result.value) == (3, '"r"')


def test_a_failed_child_tells_its_parent_why() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", child(1, "c"))
    scene.answer("c", fail())
    turn = scene.turn("w")
    assert turn is not None
    told = events.read(turn.new[0]).childWorkflowInstanceFailed
    assert told.failureDetails.errorMessage == "m"


def test_a_child_of_an_earlier_history_tells_nobody() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", child(1, "c"))
    scene.raise_event("w")
    scene.answer("w", again())
    scene.answer("w", call(1))
    scene.answer("c", complete())
    assert scene.takes("w") == []


def test_a_retry_of_a_child_takes_the_place_of_the_one_that_failed() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", child(1, "c"))
    scene.answer("c", fail())
    scene.answer("w", child(2, "c"))
    scene.answer("c", complete())
    turn = scene.turn("w")
    assert turn is not None
    told = events.read(turn.new[0]).childWorkflowInstanceCompleted
    assert told.taskScheduledId == 2


def test_a_child_whose_id_is_taken_fails_for_its_parent() -> None:
    scene = Scene()
    scene.begun("c")
    scene.start("w")
    scene.answer("w", child(1, "c"))
    turn = scene.turn("w")
    assert turn is not None
    failure = events.read(turn.new[0]).childWorkflowInstanceFailed.failureDetails
    assert failure.errorType == "WorkflowInstanceAlreadyExists"
    assert failure.errorMessage == "an active workflow with ID 'c' already exists"


def test_an_ended_instance_leaves_no_work_behind() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", call(1), timer(2, scene.now + SECOND))
    scene.raise_event("w")
    scene.raise_event("w")
    scene.answer("w", complete())
    for table in ("workflow_tasks", "workflow_timers", "workflow_inbox"):
        assert scene.rows(table) == 0


def test_a_version_that_no_worker_has_stalls_until_another_worker_comes() -> None:
    from retunable.sidecar.workflow import turns

    scene = Scene()
    scene.start("w")
    scene.answer("w", call(1), version=pb.WorkflowVersion(name="v1"))
    scene.raise_event("w")
    missing = pb.WorkflowAction(
        id=1, workflowVersionNotAvailable=pb.WorkflowVersionNotAvailableAction()
    )
    scene.answer("w", missing)
    assert scene.status("w") is Status.STALLED
    assert scene.turn("w") is None
    changes = turns.retry_stalled(scene.connection, now=scene.now)
    assert list(changes.runnable) == [scene.instance("w").key]
    scene.answer("w", missing)
    scene_history = scene.history("w")
    assert scene_history.count("executionStalled") == 1
    turns.retry_stalled(scene.connection, now=scene.now)
    scene.answer("w", complete())
    assert scene.status("w") is Status.COMPLETED
