"""The SDK's worker, and what it leaves undone when it stops."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any, Final

from dapr.ext.workflow.logger import LoggerOptions

CLOSE_SECONDS: Final = 1.0
START_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 0.05

_SDK_LOGGERS: Final = ("WorkflowRuntime", "DaprWorkflowContext", "durabletask-worker")


class Runtime:
    """A runtime of the SDK with everything registered, not started."""

    def __init__(self, sdk: Any) -> None:
        self._sdk = sdk
        self._settled = threading.Event()
        self._settled.set()

    def start(self) -> None:
        """Connect; blocks until the sidecar streams work, and may raise."""
        self._settled.clear()
        try:
            self._sdk.start()
        finally:
            self._settled.set()

    def shutdown(self) -> None:
        """Disconnect; may block. A start that goes on in another thread is over afterwards."""
        self._settled.wait(START_SECONDS)
        while not self._stopped():
            self._settled.wait(AGAIN_SECONDS)
        # SDK 1.19 never closes the loop of its worker thread: two sockets at each stop.
        worker = getattr(self._sdk, "_WorkflowRuntime__worker", None)
        loop = getattr(getattr(worker, "_async_worker_manager", None), "_queue_event_loop", None)
        if loop is not None and not loop.is_running() and not loop.is_closed():
            _close(loop)

    def _stopped(self) -> bool:
        """Stop the SDK's worker; tell whether no start can go on behind it.

        SDK 1.19 raises where ``start`` has made its thread and not begun it yet, and does nothing
        where it has not come that far.
        """
        settled = self._settled.is_set()
        try:
            self._sdk.shutdown()
        except RuntimeError:
            if settled:
                raise
        return settled


def quiet_sdk_logs() -> LoggerOptions:
    """Keep the SDK's own handlers off stderr, and its progress and reconnects out of the log.

    A level that the program set stays.
    """
    for name in _SDK_LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.ERROR)
    return LoggerOptions(log_handler=logging.NullHandler(), log_level="ERROR")


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
