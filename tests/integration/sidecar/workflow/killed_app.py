"""A program that works for a sidecar until it is killed; each activity that really runs is noted.

Told by the environment: DAPR_GRPC_PORT, LEDGER (a file).
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext, when_all

from tests.integration.sidecar.workflow import driver

WORKFLOW = "counting"
ACTIVITY = "count"
STEPS = 6
AT_ONCE = 3
STEPS_PER_HISTORY = 4
ACTIVITIES = STEPS * AT_ONCE
WORK_SECONDS = 0.02


def counting(ctx: DaprWorkflowContext, given: dict[str, Any]) -> Generator[Any, Any, Any]:
    """Do steps of a few activities at once, and continue as new now and then."""
    done: list[str] = given["done"]
    for step in range(given["step"], STEPS):
        if step and step % STEPS_PER_HISTORY == 0 and step > given["step"]:
            ctx.continue_as_new({"step": step, "done": done})
            return None
        names = [f"{step}.{number}" for number in range(AT_ONCE)]
        done += yield when_all([ctx.call_activity(ACTIVITY, input=name) for name in names])
    return done


def count(ctx: WorkflowActivityContext, name: str) -> str:
    """Note that it ran, and take a moment."""
    with open(os.environ["LEDGER"], "a") as ledger:  # noqa: PTH123 - one append, one write
        ledger.write(f"{ctx.workflow_id} {name}\n")
    time.sleep(WORK_SECONDS)
    return name


def main() -> None:
    """Work until SIGTERM."""
    runtime = driver.new_runtime(int(os.environ["DAPR_GRPC_PORT"]))
    runtime.register_workflow(counting, name=WORKFLOW)
    runtime.register_activity(count, name=ACTIVITY)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with driver.worker(runtime):
        ended.wait()


if __name__ == "__main__":
    main()
