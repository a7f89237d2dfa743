"""Workflows through kills of the sidecar, of the program and of both: all end, no step is lost."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from dapr.ext.workflow import DaprWorkflowClient

from dev.embedded import EmbeddedSidecar
from dev.part import Part
from dev.processes import Launch, wait_until
from retunable.sidecar.connection import connect
from retunable.sidecar.files import DataFiles
from retunable.sidecar.workflow import events, tables
from tests.integration.sidecar.workflow import driver, killed_app

WORKFLOWS = int(os.environ.get("RETUNABLE_KILLED_WORKFLOWS", "40"))
KILLS = int(os.environ.get("RETUNABLE_KILLS", "6"))
SEED = int(os.environ.get("RETUNABLE_KILL_SEED", "1"))
WITHIN_SECONDS = 60 + 4 * WORKFLOWS

CHECKOUT = Path(__file__).parents[4]


class App(Part):
    """The program that works for the sidecar."""

    name = "killed-app"

    def __init__(self, directory: Path, sidecar: EmbeddedSidecar) -> None:
        super().__init__(directory)
        self.ledger = directory / "ledger"
        self._environment = sidecar.environment

    def launch(self) -> Launch:
        module = "tests.integration.sidecar.workflow.killed_app"
        environment = {**os.environ, **self._environment, "LEDGER": str(self.ledger)}
        return Launch(
            name=self.name,
            command=[sys.executable, "-m", module],
            log=self.log,
            environment=environment,
            working_directory=CHECKOUT,
        )

    def answers(self) -> bool:
        return True


@pytest.mark.embedded
@pytest.mark.slow
@pytest.mark.timeout(WITHIN_SECONDS + 120)
def test_every_workflow_completes_through_random_kills_and_no_committed_step_runs_twice(
    tmp_path: Path,
) -> None:
    sidecar = EmbeddedSidecar(tmp_path / "sidecar", app_id="killed")
    app = App(tmp_path, sidecar)
    chance = random.Random(SEED)
    ids = [f"run-{number}" for number in range(WORKFLOWS)]
    with sidecar, app:
        with driver.client(sidecar.grpc_port) as client:
            started = ids[: len(ids) // 2]
            for instance in started:
                _start(client, instance)
        for _ in range(KILLS):
            _wait_for_work(app)
            time.sleep(chance.uniform(0.0, 0.4))  # a moment that nobody chose
            for part in chance.choice(((sidecar,), (app,), (sidecar, app))):
                part.kill()
                part.start()
            _start_some(sidecar, ids, started, WORKFLOWS // (2 * KILLS) + 1)
        _start_some(sidecar, ids, started, WORKFLOWS)
        results = _results(sidecar, ids)
    expected = [
        f"{step}.{n}" for step in range(killed_app.STEPS) for n in range(killed_app.AT_ONCE)
    ]
    assert results == dict.fromkeys(ids, expected)
    assert _resolved_twice(sidecar) == []
    ran = Counter(app.ledger.read_text().splitlines())
    assert len(ran) == WORKFLOWS * killed_app.ACTIVITIES
    print(f"{ran.total()} activity runs for {len(ran)} steps through {KILLS} kills")


def _start_some(sidecar: EmbeddedSidecar, ids: list[str], started: list[str], count: int) -> None:
    with driver.client(sidecar.grpc_port) as client:
        for instance in ids[len(started) : len(started) + count]:
            _start(client, instance)
            started.append(instance)


def _wait_for_work(app: App) -> None:
    """Wait until activities run again: a kill while nothing happens proves little."""
    seen = app.ledger.stat().st_size if app.ledger.exists() else 0
    wait_until(
        lambda: app.ledger.exists() and app.ledger.stat().st_size > seen,
        what="work to go on",
        within_seconds=30,
    )


def _start(client: DaprWorkflowClient, instance: str) -> None:
    """Start a workflow; one whose answer was lost with a sidecar is there already."""
    given = {"step": 0, "done": []}
    client.schedule_new_workflow(killed_app.WORKFLOW, input=given, instance_id=instance)


def _results(sidecar: EmbeddedSidecar, ids: list[str]) -> dict[str, object]:
    deadline = time.monotonic() + WITHIN_SECONDS
    results: dict[str, object] = {}
    with driver.client(sidecar.grpc_port) as client:
        for instance in ids:
            left = max(1, int(deadline - time.monotonic()))
            state = client.wait_for_workflow_completion(instance, timeout_in_seconds=left)
            assert state is not None
            assert state.runtime_status.name == "COMPLETED", state
            results[instance] = json.loads(state.serialized_output)
    return results


def _resolved_twice(sidecar: EmbeddedSidecar) -> list[str]:
    """Return the steps of a history that were resolved more than once."""
    connection = connect(DataFiles(sidecar.data_dir, sidecar.app_id).state)
    try:
        twice = []
        for key, instance in tables.ids(connection, after=0, limit=WORKFLOWS + 1):
            history = [events.read(stored) for stored in tables.history(connection, key)]
            resolved = Counter(
                event.taskCompleted.taskScheduledId
                for event in history
                if event.HasField("taskCompleted")
            )
            twice += [f"{instance} task {task}" for task, n in resolved.items() if n > 1]
        return twice
    finally:
        connection.close()
