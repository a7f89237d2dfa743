"""A locked file, a full disk, a stopped sidecar: a pause, then on, and nothing is done twice."""

from __future__ import annotations

import resource
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext

from dev.embedded import EmbeddedSidecar
from retunable.sidecar.files import DataFiles
from tests.integration.sidecar.workflow import driver

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

LOCKED_SECONDS = 10.0
FULL_SECONDS = 3.0
STEPS = 3


class Program:
    """A workflow of a few steps; a test does something during the second."""

    def __init__(self, during: Callable[[], None]) -> None:
        self.ran: list[int] = []
        self._during = during

    def run(self, sidecar: EmbeddedSidecar) -> str:
        """Run it and return how it ended."""
        runtime = driver.new_runtime(sidecar.grpc_port)

        def steps(ctx: DaprWorkflowContext, count: int) -> Iterator[Any]:
            for number in range(count):
                yield ctx.call_activity("step", input=number)

        def step(ctx: WorkflowActivityContext, number: int) -> None:
            del ctx
            self.ran.append(number)
            if number == 1:
                self._during()

        runtime.register_workflow(steps, name="steps")
        runtime.register_activity(step, name="step")
        with driver.worker(runtime), driver.client(sidecar.grpc_port) as client:
            instance = client.schedule_new_workflow("steps", input=STEPS)
            state = client.wait_for_workflow_completion(instance, timeout_in_seconds=50)
            assert state is not None
            return str(state.runtime_status.name)


def test_a_file_that_is_locked_for_ten_seconds_is_a_pause(sidecar: EmbeddedSidecar) -> None:
    path = DataFiles(sidecar.data_dir, sidecar.app_id).state

    def lock() -> None:
        locked = threading.Event()

        def hold() -> None:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                locked.set()
                threading.Event().wait(LOCKED_SECONDS)
                other.execute("ROLLBACK")

        threading.Thread(target=hold).start()
        assert locked.wait(5)

    program = Program(lock)
    assert program.run(sidecar) == "COMPLETED"
    assert program.ran == list(range(STEPS))


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_a_full_disk_is_a_pause(sidecar: EmbeddedSidecar) -> None:
    def fill() -> None:
        pid = sidecar.process.pid
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))
        room = threading.Timer(
            FULL_SECONDS, lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
        )
        room.start()

    program = Program(fill)
    assert program.run(sidecar) == "COMPLETED"
    assert program.ran == list(range(STEPS))


def test_a_sidecar_that_is_stopped_takes_what_is_due_and_ends_in_seconds(
    sidecar: EmbeddedSidecar,
) -> None:
    ended: list[int | None] = []

    def stop() -> None:
        def restart() -> None:
            ended.append(sidecar.process.terminate(within_seconds=5.0))
            sidecar.start()

        threading.Thread(target=restart).start()

    program = Program(stop)
    assert program.run(sidecar) == "COMPLETED"
    assert program.ran == list(range(STEPS))
    assert ended == [0]
