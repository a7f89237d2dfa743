"""The same random programs on the embedded sidecar and on a real daprd: same outcomes, same calls."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dapr.ext.workflow import DaprWorkflowClient

from dev.dapr import DaprBinaries
from dev.embedded import EmbeddedSidecar
from dev.stack import Stack
from tests.integration.sidecar.workflow import driver, programs
from tests.integration.sidecar.workflow.programs import Calls, Case

PROGRAMS = int(os.environ.get("RETUNABLE_DIFFERENTIAL_PROGRAMS", "60"))
FIRST_SEED = int(os.environ.get("RETUNABLE_DIFFERENTIAL_SEED", "1"))
AT_ONCE = 8

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 6 * PROGRAMS)]


@pytest.fixture(scope="module")
def daprd_port(
    tmp_path_factory: pytest.TempPathFactory, dapr_binaries: DaprBinaries, redis_program: Path
) -> Iterator[int]:
    with Stack.redis(tmp_path_factory.mktemp("stack"), state="sqlite") as stack:
        yield stack.sidecar.grpc_port


@pytest.fixture(scope="module")
def embedded_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with EmbeddedSidecar(tmp_path_factory.mktemp("embedded"), app_id="differential") as sidecar:
        yield sidecar.grpc_port


@dataclass(frozen=True)
class Outcome:
    """Everything about a run that must be the same everywhere."""

    status: str
    output: str | None
    custom_status: str | None
    failure: tuple[str, str] | None
    calls: dict[str, Any]


def test_random_programs_end_alike_and_call_activities_in_the_same_order(
    daprd_port: int, embedded_port: int
) -> None:
    cases = [programs.case(seed) for seed in range(FIRST_SEED, FIRST_SEED + PROGRAMS)]
    with ThreadPoolExecutor(2) as pool:
        on_daprd, on_embedded = pool.map(_run_all, (daprd_port, embedded_port), (cases, cases))
    different = [
        f"seed {case.seed}\n  program  {case}\n  daprd    {daprd}\n  embedded {embedded}"
        for case, daprd, embedded in zip(cases, on_daprd, on_embedded, strict=True)
        if daprd != embedded
    ]
    assert not different, "\n".join(different)
    # The programs must be worth comparing.
    assert {outcome.status for outcome in on_daprd} == {"COMPLETED", "FAILED"}


def _run_all(port: int, cases: list[Case]) -> list[Outcome]:
    calls = Calls()
    runtime = driver.new_runtime(port)
    programs.register(runtime, calls)
    with driver.worker(runtime), driver.client(port) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda case: _run(client, calls, case), cases))


def _run(client: DaprWorkflowClient, calls: Calls, case: Case) -> Outcome:
    instance = f"case-{case.seed}"
    client.schedule_new_workflow(
        programs.INTERPRETER, input={"program": case.program, "said": []}, instance_id=instance
    )
    if case.suspended:
        client.pause_workflow(instance)
    for name, value in case.events:
        client.raise_workflow_event(instance, name, data=value)
    if case.suspended:
        client.resume_workflow(instance)
    state = client.wait_for_workflow_completion(instance, timeout_in_seconds=driver.SECONDS)
    assert state is not None
    failure = state.failure_details
    return Outcome(
        status=state.runtime_status.name,
        output=state.serialized_output,
        custom_status=state.serialized_custom_status,
        failure=None if failure is None else (failure.error_type, _unnumbered(failure.message)),
        calls=calls.of(instance),
    )


def _unnumbered(message: str) -> str:
    """Leave out the number of a task: those of parallel retries depend on what was faster."""
    return re.sub(r"#[0-9]+", "#", message)
