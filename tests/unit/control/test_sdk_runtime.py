"""The SDK's worker ends whole."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from retunable.control.rollouts.sdk_runtime import Runtime


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
