"""The run's body and its activities, as the Dapr workflow SDK wants them.

Only translation: the body is ``turn``, the activities are those of the agent that the input
names, run on that agent's own event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Final, Protocol

from dapr.ext.workflow import (
    DaprWorkflowContext,
    WorkflowActivityContext,
    WorkflowRuntime,
    when_all,
)
from dapr.ext.workflow.logger import LoggerOptions

from retunable.agent.loop.turn import (
    MODEL_STEP,
    TOOL_CALL,
    WORKFLOW,
    WORKFLOW_VERSION,
    Call,
    ContinueAsNew,
    turn,
)

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
CLOSE_SECONDS: Final = 1.0

_SDK_LOGGERS: Final = (
    "WorkflowRuntime",
    "DaprWorkflowContext",
    "durabletask-worker",
)

Activity = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


class Activities(Protocol):
    """What the runtime dispatches to."""

    async def model_step(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Run one model step of the agent that ``data`` names."""

    async def tool_call(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Run one tool call of the agent that ``data`` names."""


class Runtime:
    """What is used of the SDK's runtime, and what it leaves undone."""

    def __init__(self, sdk: Any) -> None:
        self._sdk = sdk

    def start(self) -> None:
        """Connect; blocks until the sidecar streams work, and may raise."""
        self._sdk.start()

    def streams(self) -> bool:
        """Tell, within about 0.1 s, whether work is streamed."""
        return bool(self._sdk.wait_for_worker_ready(timeout=0.01))

    def shutdown(self) -> None:
        """Disconnect; may block."""
        self._sdk.shutdown()
        # SDK 1.19 never closes the loop of its worker thread: two sockets at each stop.
        worker = getattr(self._sdk, "_WorkflowRuntime__worker", None)
        loop = getattr(getattr(worker, "_async_worker_manager", None), "_queue_event_loop", None)
        if loop is not None and not loop.is_running() and not loop.is_closed():
            _close(loop)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Close a stopped worker's loop once nothing is left on it; else leave it to the collector.

    The worker goes 5 s after its cancellation even where a task of its own missed that (on Python
    3.11 ``wait_for`` can swallow it). Such a task found on a closed loop raises when collected.
    """
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        _, left = loop.run_until_complete(asyncio.wait(left, timeout=CLOSE_SECONDS))
    if not left:
        loop.close()


def new_runtime(activities: Activities) -> Runtime:
    """Return a runtime with everything registered, not started.

    The SDK marks what it registered, so each runtime gets functions of its own.
    """
    sdk = WorkflowRuntime(
        logger_options=quiet_sdk_logs(), max_grpc_message_length=MAX_MESSAGE_BYTES
    )

    def workflow(ctx: DaprWorkflowContext, data: dict) -> Generator[Any, Any, Any]:  # type: ignore[type-arg]
        return drive(ctx, data)

    async def model_step(ctx: WorkflowActivityContext, data: dict) -> Any:  # type: ignore[type-arg]
        del ctx
        return await activities.model_step(data)

    async def tool_call(ctx: WorkflowActivityContext, data: dict) -> Any:  # type: ignore[type-arg]
        del ctx
        return await activities.tool_call(data)

    sdk.register_versioned_workflow(
        workflow, name=WORKFLOW, version_name=WORKFLOW_VERSION, is_latest=True
    )
    sdk.register_activity(model_step, name=MODEL_STEP)
    sdk.register_activity(tool_call, name=TOOL_CALL)
    return Runtime(sdk)


def drive(ctx: DaprWorkflowContext, data: Mapping[str, Any]) -> Generator[Any, Any, Any]:
    """Run a turn's body on a workflow context."""
    body = turn(data)
    result: Any = None
    while True:
        try:
            effect = body.send(result)
        except StopIteration as end:
            if isinstance(end.value, ContinueAsNew):
                ctx.continue_as_new(end.value.input)
                return None
            return end.value
        if isinstance(effect, Call):
            result = yield ctx.call_activity(effect.activity, input=effect.input)
        else:
            calls: list[Any] = [
                ctx.call_activity(call.activity, input=call.input) for call in effect.calls
            ]
            result = yield when_all(calls)


def quiet_sdk_logs() -> LoggerOptions:
    """Keep the SDK's own handlers off stderr, and its progress and reconnects out of the log.

    Five lines at each of its tries to reach a sidecar that is away say less than the agent's
    status does. A level that the program set stays.
    """
    for name in _SDK_LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.ERROR)
    return LoggerOptions(log_handler=logging.NullHandler(), log_level="ERROR")


async def run_on(
    loop: asyncio.AbstractEventLoop, activity: Activity, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Run an activity on another event loop; a cancellation here reaches it there."""

    async def call() -> dict[str, Any]:
        return await activity(data)

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), loop))
