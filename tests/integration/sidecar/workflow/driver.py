"""A program's worker and client on one sidecar, with the unmodified SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dapr.ext.workflow import DaprWorkflowClient, WorkflowRuntime

from dev import processes
from retunable.control.rollouts.sdk_runtime import Runtime, quiet_sdk_logs

SECONDS = 60


@contextmanager
def worker(runtime: Any) -> Iterator[None]:
    """Work for a sidecar inside the block."""
    ending_whole = Runtime(runtime)
    ending_whole.start()
    try:
        yield
    finally:
        ending_whole.shutdown()


def new_runtime(port: int, **options: Any) -> WorkflowRuntime:
    """Return a runtime for the sidecar on a port of this machine."""
    return WorkflowRuntime(
        host="127.0.0.1", port=str(port), logger_options=quiet_sdk_logs(), **options
    )


@contextmanager
def client(port: int) -> Iterator[DaprWorkflowClient]:
    """Give a client of the sidecar on a port of this machine."""
    made = DaprWorkflowClient(host="127.0.0.1", port=str(port), logger_options=quiet_sdk_logs())
    try:
        yield made
    finally:
        _closed(made)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition that nothing announces."""
    processes.wait_until(condition, what=what, within_seconds=SECONDS)


def _closed(made: Any) -> None:
    made.close()  # without types
