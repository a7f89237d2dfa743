"""A program's worker and client on one sidecar, with the unmodified SDK."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dapr.ext.workflow import DaprWorkflowClient, WorkflowRuntime
from dapr.ext.workflow.logger import LoggerOptions

from dev import processes

SECONDS = 60


@contextmanager
def worker(runtime: Any) -> Iterator[None]:
    """Work for a sidecar inside the block."""
    runtime.start()
    try:
        yield
    finally:
        runtime.shutdown()
        # SDK 1.19 never closes the loop of its worker thread.
        inner: Any = getattr(runtime, "_WorkflowRuntime__worker")  # noqa: B009 - its name is mangled
        loop = inner._async_worker_manager._queue_event_loop
        if loop is not None and not loop.is_running():
            _end(loop)


def new_runtime(port: int, **options: Any) -> WorkflowRuntime:
    """Return a runtime for the sidecar on a port of this machine."""
    return WorkflowRuntime(host="127.0.0.1", port=str(port), logger_options=_quiet(), **options)


@contextmanager
def client(port: int) -> Iterator[DaprWorkflowClient]:
    """Give a client of the sidecar on a port of this machine."""
    made = DaprWorkflowClient(host="127.0.0.1", port=str(port), logger_options=_quiet())
    try:
        yield made
    finally:
        _closed(made)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition that nothing announces."""
    processes.wait_until(condition, what=what, within_seconds=SECONDS)


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Close a stopped worker's loop once nothing is left on it.

    The worker goes 5 s after its cancellation even where a task of its own missed that (on Python
    3.11 ``wait_for`` can swallow it). Such a task found on a closed loop raises when collected.
    """
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        _, left = loop.run_until_complete(asyncio.wait(left, timeout=1))
    if not left:
        loop.close()


def _quiet() -> LoggerOptions:
    for name in ("WorkflowRuntime", "DaprWorkflowContext", "durabletask-worker"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return LoggerOptions(log_handler=logging.NullHandler(), log_level="ERROR")


def _closed(made: Any) -> None:
    made.close()  # without types
