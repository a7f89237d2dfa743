"""Who gets which work: once while its worker is there, again when it is gone, and never too much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from retunable.sidecar.workflow.changes import Changes
from retunable.sidecar.workflow.dispatch import Dispatcher
from retunable.sidecar.workflow.instance import TaskToken, TurnToken
from retunable.sidecar.workflow.protos import pb
from retunable.sidecar.workflow.streams import MOST_TASKS, WorkStream
from retunable.sidecar.workflow.turns import load_turn
from tests.unit.sidecar.workflow.scenes import Scene, call, complete

NO_GRACE = 0.0
LONG_GRACE = 60.0


@asynccontextmanager
async def dispatching(scene: Scene, *, grace: float = NO_GRACE) -> AsyncIterator[Dispatcher]:
    async def read(job: Callable[[Any], Any]) -> Any:
        return job(scene.connection)

    dispatcher = Dispatcher(read=read, now=lambda: scene.now, grace_seconds=grace)
    running = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        running.cancel()


async def given(stream: WorkStream) -> pb.WorkItem:
    async with asyncio.timeout(5):
        item = await stream.next()
    assert item is not None
    return item


async def nothing_given(stream: WorkStream) -> bool:
    for _ in range(20):
        await asyncio.sleep(0)
    return stream._waiting.empty()


def started(scene: Scene, name: str = "w") -> Changes:
    changes = scene.start(name)
    assert isinstance(changes, Changes)
    return changes


def turn_token(item: pb.WorkItem) -> TurnToken:
    token = TurnToken.parse(item.completionToken)
    assert token is not None
    return token


def task_token(item: pb.WorkItem) -> TaskToken:
    token = TaskToken.parse(item.completionToken)
    assert token is not None
    return token


async def test_work_waits_for_a_worker() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        dispatcher.absorb(started(scene), {})
        stream = dispatcher.open(keeps_histories=True)
        assert (await given(stream)).workflowRequest.instanceId == "w"


async def test_an_instance_has_one_turn_out_at_a_time() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        stream = dispatcher.open(keeps_histories=True)
        dispatcher.absorb(started(scene), {})
        first = turn_token(await given(stream))
        raised = scene.raise_event("w")
        assert isinstance(raised, Changes)
        dispatcher.absorb(raised, {})
        assert await nothing_given(stream)
        dispatcher.turn_taken(first, scene.answer_to(first, call(1)), {})
        taken = [await given(stream), await given(stream)]
        assert {item.WhichOneof("request") for item in taken} == {
            "workflowRequest",
            "activityRequest",
        }


async def test_an_event_that_was_stored_after_its_turns_answer_and_told_before_is_not_lost() -> (
    None
):
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        stream = dispatcher.open(keeps_histories=True)
        dispatcher.absorb(started(scene), {})
        token = turn_token(await given(stream))
        answered = scene.answer_to(token, call(1))
        raised = scene.raise_event("w")
        assert isinstance(raised, Changes)
        dispatcher.absorb(raised, {})
        dispatcher.turn_taken(token, answered, {token.key: None})
        kinds = {(await given(stream)).WhichOneof("request") for _ in range(2)}
        assert "workflowRequest" in kinds


async def test_a_late_answer_to_the_turn_that_is_out_gives_it_out_again() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        stream = dispatcher.open(keeps_histories=True)
        dispatcher.absorb(started(scene), {})
        token = turn_token(await given(stream))
        dispatcher.turn_taken(token, None, {})
        assert (await given(stream)).workflowRequest.instanceId == "w"


async def test_a_worker_gets_only_what_it_does_not_hold() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        stream = dispatcher.open(keeps_histories=True)
        await _two_turns(scene, dispatcher, stream)
        third = (await given(stream)).workflowRequest
        assert third.cachedHistory.eventCount == 3
        assert len(third.pastEvents) == 2


async def test_a_worker_that_keeps_nothing_gets_the_whole_history() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        stream = dispatcher.open(keeps_histories=False)
        await _two_turns(scene, dispatcher, stream)
        third = (await given(stream)).workflowRequest
        assert not third.HasField("cachedHistory")
        assert len(third.pastEvents) == 5


async def test_another_worker_gets_the_whole_history() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        first = dispatcher.open(keeps_histories=True)
        await _two_turns(scene, dispatcher, first)
        await given(first)
        dispatcher.close(first)
        second = dispatcher.open(keeps_histories=True)
        again = (await given(second)).workflowRequest
        assert not again.HasField("cachedHistory")
        assert len(again.pastEvents) == 5


async def test_a_turn_that_was_loaded_for_a_worker_that_is_gone_is_loaded_again() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        first = dispatcher.open(keeps_histories=True)
        await _two_turns(scene, dispatcher, first)
        token = turn_token(await given(first))
        answered = scene.answer_to(token)
        raised = scene.raise_event("w")
        assert isinstance(raised, Changes)
        loaded = load_turn(scene.connection, token.key, known=first.known[token.key])
        dispatcher.close(first)
        second = dispatcher.open(keeps_histories=True)
        dispatcher.turn_taken(token, answered, {})
        dispatcher.absorb(raised, {token.key: loaded})
        turn = (await given(second)).workflowRequest
        assert not turn.HasField("cachedHistory")
        assert len(turn.pastEvents) == scene.instance("w").length


async def test_nothing_is_remembered_of_an_instance_that_ended() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        stream = dispatcher.open(keeps_histories=True)
        dispatcher.absorb(started(scene), {})
        token = turn_token(await given(stream))
        assert token.key in stream.known
        dispatcher.turn_taken(token, scene.answer_to(token, complete()), {})
        assert stream.known == {}


async def test_an_activity_of_a_worker_that_went_away_waits_for_its_result() -> None:
    scene = Scene()
    async with dispatching(scene, grace=LONG_GRACE) as dispatcher:
        stream = await _with_an_activity_out(scene, dispatcher)
        dispatcher.close(stream)
        assert await nothing_given(dispatcher.open(keeps_histories=True))


async def test_after_the_grace_an_activity_is_given_out_again() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        stream = await _with_an_activity_out(scene, dispatcher)
        dispatcher.close(stream)
        item = await given(dispatcher.open(keeps_histories=True))
        assert item.activityRequest.taskId == 1


async def test_an_activity_whose_result_came_within_the_grace_is_not_given_out_again() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        stream = await _with_an_activity_out(scene, dispatcher)
        dispatcher.close(stream)
        token = TaskToken(scene.instance("w").key, 0, 1)
        scene.result(token)
        dispatcher.task_taken(token)
        assert await nothing_given(dispatcher.open(keeps_histories=True))


async def test_after_a_restart_activities_wait_for_results_and_turns_do_not() -> None:
    scene = Scene()
    started(scene)
    (task,) = scene.answer("w", call(1)).tasks
    scene.raise_event("w")
    async with dispatching(scene, grace=LONG_GRACE) as dispatcher:
        dispatcher.restore([task.token.key], [task.token])
        stream = dispatcher.open(keeps_histories=True)
        assert (await given(stream)).HasField("workflowRequest")
        assert await nothing_given(stream)


async def test_a_worker_has_only_so_many_activities_at_once() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        stream = dispatcher.open(keeps_histories=True)
        started(scene)
        changes = scene.answer("w", *(call(number) for number in range(1, MOST_TASKS + 2)))
        dispatcher.absorb(changes, {})
        items = [await given(stream) for _ in range(MOST_TASKS)]
        assert await nothing_given(stream)
        dispatcher.task_taken(task_token(items[0]))
        assert (await given(stream)).activityRequest.taskId == MOST_TASKS + 1


async def test_what_ended_is_not_given_out() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        started(scene)
        dispatcher.absorb(scene.answer("w", call(1)), {})
        terminated = scene.terminate("w")
        assert isinstance(terminated, Changes)
        dispatcher.absorb(terminated, {})
        assert await nothing_given(dispatcher.open(keeps_histories=True))


async def test_a_stopping_sidecar_gives_nothing_out_and_waits_for_what_is_out() -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        stream = await _with_an_activity_out(scene, dispatcher)
        dispatcher.stop()
        idle = asyncio.create_task(dispatcher.idle())
        dispatcher.absorb(started(scene, "v"), {})
        assert await nothing_given(stream)
        assert not idle.done()
        dispatcher.task_taken(TaskToken(scene.instance("w").key, 0, 1))
        async with asyncio.timeout(5):
            await idle


@pytest.mark.parametrize("count", [1, 500])
async def test_everything_that_is_ready_is_given_out(count: int) -> None:
    scene = Scene()
    async with dispatching(scene) as dispatcher:
        for number in range(count):
            dispatcher.absorb(started(scene, f"w{number}"), {})
        stream = dispatcher.open(keeps_histories=True)
        for _ in range(count):
            token = turn_token(await given(stream))
            dispatcher.turn_taken(token, scene.answer_to(token, complete()), {token.key: None})


async def _two_turns(scene: Scene, dispatcher: Dispatcher, stream: WorkStream) -> None:
    """Let an instance of one activity take two turns, and be ready for a third."""
    dispatcher.absorb(started(scene), {})
    for number in (1, 2):
        token = turn_token(await given(stream))
        changes = scene.answer_to(token, *([call(1)] if number == 1 else []))
        dispatcher.turn_taken(token, changes, {token.key: None})
        if number == 1:
            task = task_token(await given(stream))
            result = scene.result(task)
            dispatcher.task_taken(task)
            dispatcher.absorb(result, {})
    raised = scene.raise_event("w")
    assert isinstance(raised, Changes)
    dispatcher.absorb(raised, {})


async def _with_an_activity_out(scene: Scene, dispatcher: Dispatcher) -> WorkStream:
    stream = dispatcher.open(keeps_histories=True)
    started(scene)
    dispatcher.absorb(scene.answer("w", call(1)), {})
    await given(stream)
    return stream
