"""What is registered with the SDK."""

from __future__ import annotations

from typing import Any

from retunable.agent.loop.turn import MODEL_STEP, TOOL_CALL, WORKFLOW, WORKFLOW_VERSION
from retunable.agent.loop.workflow import new_runtime


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
