"""What clients may do to an instance, and when they may not."""

from __future__ import annotations

from retunable.sidecar.workflow import events, operations, tables
from retunable.sidecar.workflow.changes import Changes, Refusal
from retunable.sidecar.workflow.instance import Status
from retunable.sidecar.workflow.rerun import ForkRequest
from tests.unit.sidecar.workflow.scenes import (
    APP,
    SECOND,
    Scene,
    call,
    child,
    complete,
    fail,
    timer,
)


def test_the_id_of_an_active_instance_is_taken() -> None:
    scene = Scene()
    scene.start("w")
    refusal = scene.start("w")
    assert refusal == Refusal("already exists", "an active workflow with ID 'w' already exists")


def test_an_ended_instance_makes_room_for_a_new_one_of_its_id() -> None:
    scene = Scene()
    scene.start("w")
    old = scene.instance("w").key
    scene.answer("w", complete())
    assert isinstance(scene.start("w"), Changes)
    assert scene.instance("w").key != old
    assert scene.status("w") is Status.PENDING


def test_an_ended_instance_makes_no_room_where_its_id_must_be_unique() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", complete())
    refusal = scene.start("w", enforceUniqueInstanceId=True)
    assert isinstance(refusal, Refusal)
    assert refusal.why == "already exists"


def test_an_id_is_not_free_while_a_child_of_its_last_instance_goes_on() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", child(1, "c"))
    scene.terminate("w")
    refusal = scene.start("w")
    assert isinstance(refusal, Refusal)
    assert "child workflow 'c'" in refusal.message
    scene.terminate("c")
    assert isinstance(scene.start("w"), Changes)


def test_a_delayed_start_waits_for_its_time() -> None:
    scene = Scene()
    changes = scene.start("w", scheduledStartTimestamp=events.timestamp(scene.now + SECOND))
    assert isinstance(changes, Changes)
    assert changes.timers
    assert not changes.runnable
    scene.now += SECOND
    scene.fire_timers()
    assert scene.takes("w") == ["executionStarted"]


def test_a_delayed_start_that_is_terminated_never_starts() -> None:
    scene = Scene()
    scene.start("w", scheduledStartTimestamp=events.timestamp(scene.now + SECOND))
    scene.terminate("w")
    scene.now += SECOND
    assert not scene.fire_timers()[0].runnable
    assert "executionStarted" in scene.history("w")


def test_a_suspended_instance_takes_nothing_and_loses_nothing() -> None:
    scene = Scene()
    scene.begun("w")
    operations.suspend(scene.connection, "w", reason=None, now=scene.now)
    scene.raise_event("w")
    assert scene.status("w") is Status.SUSPENDED
    assert scene.turn("w") is None
    operations.resume(scene.connection, "w", reason=None, now=scene.now)
    assert scene.takes("w") == ["executionSuspended", "eventRaised", "executionResumed"]
    assert scene.status("w") is Status.RUNNING


def test_resuming_what_was_not_suspended_changes_nothing() -> None:
    scene = Scene()
    scene.begun("w")
    operations.resume(scene.connection, "w", reason=None, now=scene.now)
    assert scene.takes("w") == []


def test_a_turn_that_was_out_when_its_instance_was_suspended_is_taken() -> None:
    scene = Scene()
    scene.start("w")
    token = scene.token("w")
    operations.suspend(scene.connection, "w", reason=None, now=scene.now)
    assert scene.answer_to(token, call(1)) is not None
    assert scene.status("w") is Status.SUSPENDED


def test_terminating_needs_no_worker_and_makes_its_answer_late() -> None:
    scene = Scene()
    scene.start("w")
    token = scene.token("w")
    scene.terminate("w")
    assert scene.status("w") is Status.TERMINATED
    assert scene.answer_to(token, complete()) is None
    assert scene.history("w")[-2:] == ["executionTerminated", "executionCompleted"]


def test_terminating_reaches_everything_below_only_where_it_is_asked_to() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", child(1, "c"))
    scene.answer("c", child(1, "d"))
    scene.terminate("w", recurse=True)
    assert {scene.status(one) for one in "wcd"} == {Status.TERMINATED}
    scene.start("v")
    scene.answer("v", child(1, "e"))
    scene.terminate("v")
    assert scene.status("e") is Status.PENDING


def test_a_parent_hears_of_a_terminated_child() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", child(1, "c"))
    scene.terminate("c")
    assert scene.takes("w") == ["childWorkflowInstanceFailed"]


def test_an_event_for_an_ended_instance_is_of_no_use_and_no_error() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", complete())
    assert isinstance(scene.raise_event("w"), Changes)
    assert scene.rows("workflow_inbox") == 0


def test_nothing_can_be_done_to_an_instance_that_is_none() -> None:
    scene = Scene()
    for refusal in (
        scene.raise_event("no"),
        scene.terminate("no"),
        operations.suspend(scene.connection, "no", reason=None, now=0),
        operations.resume(scene.connection, "no", reason=None, now=0),
        _purge(scene, "no"),
    ):
        assert refusal == Refusal("unknown", "no such instance exists")


def test_purging_leaves_nothing_and_spares_what_goes_on() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", call(1))
    assert isinstance(_purge(scene, "w"), Refusal)
    scene.terminate("w")
    assert _purge(scene, "w") == 1
    for table in ("workflow_instances", "workflow_history", "workflow_tasks", "workflow_inbox"):
        assert scene.rows(table) == 0


def test_purging_everything_below_wants_all_of_it_ended_unless_forced() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", child(1, "c"))
    scene.terminate("w")
    assert isinstance(_purge(scene, "w", recurse=True), Refusal)
    assert _purge(scene, "w", recurse=True, force=True) == 2


def test_a_rerun_does_again_what_was_unfinished_and_the_event_that_it_names() -> None:
    scene = Scene()
    scene.start("w", input=events.text('"in"'))
    one, _ = scene.answer("w", call(1), call(2)).tasks
    scene.result(one)
    scene.answer("w", timer(3, scene.now), call(4))
    scene.fire_timers()
    scene.answer("w", fail())
    request = ForkRequest(source_id="w", event_id=4, new_id="n", overwrite_input=True)
    changes = operations.rerun(scene.connection, request, app_id=APP, now=scene.now)
    assert isinstance(changes, Changes)
    assert [task.token.task_id for task in changes.tasks] == [2, 4]
    assert scene.status("n") is Status.RUNNING
    assert "executionCompleted" not in scene.history("n")
    start = tables.start_of(scene.connection, scene.instance("n").key)
    assert start.executionStarted.input.value == '"in"'


def test_a_rerun_is_refused_as_daprd_does() -> None:
    scene = Scene()
    scene.start("w")
    scene.answer("w", child(1, "c"), call(2))
    assert _rerun(scene, "w", 2) == ("invalid", "'w' is not in a terminal state")
    scene.terminate("w", recurse=True)
    assert _rerun(scene, "no", 1)[0] == "not found"
    assert _rerun(scene, "c", 1)[0] == "invalid"
    assert _rerun(scene, "w", 77)[0] == "not found"
    assert _rerun(scene, "w", 1, new_id="c")[0] == "already exists"


def _purge(
    scene: Scene, instance_id: str, *, recurse: bool = False, force: bool = False
) -> Refusal | int:
    purged: list[int] = []
    done = operations.purge(
        scene.connection, instance_id, recurse=recurse, force=force, purged=purged
    )
    return done if isinstance(done, Refusal) else len(purged)


def _rerun(scene: Scene, source: str, event_id: int, new_id: str = "n") -> tuple[str, str]:
    request = ForkRequest(source_id=source, event_id=event_id, new_id=new_id)
    refusal = operations.rerun(scene.connection, request, app_id=APP, now=scene.now)
    assert isinstance(refusal, Refusal)
    return refusal.why, refusal.message
