"""What is registered with the SDK."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from retunable.agent.loop.turn import MODEL_STEP, TOOL_CALL, WORKFLOW, WORKFLOW_VERSION
from retunable.agent.loop.workflow import Runtime, new_runtime


class NoActivities:
    async def model_step(self, data: Any) -> dict[str, Any]:
        raise AssertionError(data)

    async def tool_call(self, data: Any) -> dict[str, Any]:
        raise AssertionError(data)


def registry_of(runtime: Any) -> Any:
    return runtime._sdk._WorkflowRuntime__worker._registry


def test_what_daprd_dispatches_is_registered_under_the_pinned_names() -> None:
    registry = registry_of(new_runtime(NoActivities()))
    assert set(registry.activities) == {MODEL_STEP, TOOL_CALL}
    assert set(registry.versioned_orchestrators[WORKFLOW]) == {WORKFLOW_VERSION}
    assert registry.latest_versioned_orchestrators_version_name == {WORKFLOW: WORKFLOW_VERSION}


def test_a_second_runtime_can_be_made_in_one_process() -> None:
    assert new_runtime(NoActivities()) is not new_runtime(NoActivities())


def test_what_a_stopped_worker_left_on_its_loop_ends_before_the_loop_closes() -> None:
    """A task that is collected after its loop was closed raises in whatever runs then."""
    loop = asyncio.new_event_loop()
    queue: asyncio.Queue[None] = asyncio.Queue()
    waiting = loop.create_task(queue.get())
    loop.run_until_complete(asyncio.sleep(0))
    worker = SimpleNamespace(_async_worker_manager=SimpleNamespace(_queue_event_loop=loop))

    Runtime(SimpleNamespace(_WorkflowRuntime__worker=worker, shutdown=lambda: None)).shutdown()

    assert waiting.cancelled()
    assert loop.is_closed()
