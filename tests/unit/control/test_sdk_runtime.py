"""The SDK's worker ends whole."""

from __future__ import annotations

import asyncio
import threading
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


class HalfStarted:
    """As the SDK's worker is where its sidecar is away: its first stop comes too early to count."""

    def __init__(self) -> None:
        self.starting = threading.Event()
        self.told_to_stop = threading.Event()
        self._stops = 0

    def start(self) -> None:
        self.starting.set()
        self.told_to_stop.wait()

    def shutdown(self) -> None:
        self._stops += 1
        if self._stops == 1:
            raise RuntimeError("cannot join thread before it is started")
        self.told_to_stop.set()


def test_a_start_that_goes_on_is_stopped_and_nothing_raises() -> None:
    """Ctrl-C in the first second of ``retune control`` ended it with a traceback."""
    sdk = HalfStarted()
    runtime = Runtime(sdk)
    start = threading.Thread(target=runtime.start)
    start.start()
    sdk.starting.wait()

    runtime.shutdown()

    assert sdk.told_to_stop.is_set()
    start.join()
