"""A whole stack: up together, down together, each part handled by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

from dev.dapr import DaprBinaries
from dev.part import http_status
from dev.processes import is_alive, wait_until
from dev.stack import Stack, StateChoice

COMPONENTS = Path(__file__).with_name("components")

PARENT = """
import sys, time
from pathlib import Path
from tests.platform.test_stack import a_stack
with a_stack(sys.argv[1], Path(sys.argv[2])) as stack:
    plane = stack.control_plane
    parts = (stack.store, plane.placement, plane.scheduler, stack.sidecar)
    print(*(part.process.pid for part in parts), flush=True)
    time.sleep(60)
"""


def a_stack(backend: str, directory: Path, *, state: StateChoice = "same") -> Stack:
    if backend == "redis":
        return Stack.redis(directory, state=state, resources=COMPONENTS / "redis")
    resources = COMPONENTS / "postgresql"
    return Stack.postgres(directory, state=state, schema="documented", resources=resources)


def configuration(stack: Stack, key: str) -> dict[str, Any]:
    connection = HTTPConnection("127.0.0.1", stack.sidecar.http_port, timeout=5)
    connection.request("GET", f"/v1.0/configuration/runtime-config?key={key}")
    body = connection.getresponse().read()
    connection.close()
    items: dict[str, Any] = json.loads(body or b"{}")
    return items


@pytest.fixture(
    params=[
        pytest.param("redis", marks=pytest.mark.redis),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ]
)
def backend(
    request: pytest.FixtureRequest,
    dapr_binaries: DaprBinaries,
    redis_program: Path,
    postgres_program: Path,
) -> str:
    name: str = request.param
    return name


@pytest.fixture
def running(backend: str, tmp_path: Path) -> Iterator[Stack]:
    with a_stack(backend, tmp_path) as stack:
        yield stack


def test_what_is_written_into_the_store_is_read_through_dapr(running: Stack) -> None:
    running.set("agent_role", "first")
    running.set("agent_role", "second")
    assert configuration(running, "agent_role")["agent_role"]["value"] == "second"
    running.delete("agent_role")
    assert configuration(running, "agent_role") == {}


def test_the_sidecar_keeps_its_ports_over_a_kill(running: Stack) -> None:
    before = running.environment
    running.sidecar.kill()
    assert not running.sidecar.answers()
    running.sidecar.start()
    assert running.environment == before


def test_workflows_can_run(running: Stack) -> None:
    facts = running.sidecar.metadata()
    assert facts["actorRuntime"]["placement"] == "placement: connected"
    scheduler = f"127.0.0.1:{running.control_plane.scheduler.port}"
    assert facts["scheduler"]["connected_addresses"] == [scheduler]


def test_a_paused_sidecar_does_not_answer_until_resumed(running: Stack) -> None:
    running.sidecar.pause()
    assert http_status(running.sidecar.http_port, "/v1.0/healthz", seconds=0.2) is None
    running.sidecar.resume()
    assert running.sidecar.answers()


@pytest.mark.parametrize("state", ["separate", "sqlite"])
def test_the_sidecar_starts_without_the_configuration_store(
    backend: str, tmp_path: Path, state: StateChoice
) -> None:
    with a_stack(backend, tmp_path, state=state) as stack:
        stack.store.stop()
        stack.sidecar.restart()
        loaded = [component["name"] for component in stack.sidecar.metadata()["components"]]
        assert loaded == ["statestore"]


def test_a_stopped_stack_leaves_no_process(backend: str, tmp_path: Path) -> None:
    with a_stack(backend, tmp_path) as stack:
        plane = stack.control_plane
        parts = (stack.store, plane.placement, plane.scheduler, stack.sidecar)
        assert all(part.running for part in parts)
    assert not any(part.running for part in parts)


def test_a_killed_owner_leaves_no_process(backend: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, backend, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        parts = [psutil.Process(int(pid)) for pid in owner.stdout.readline().split()]
        children = [child for part in parts for child in part.children(recursive=True)]
        owner.kill()
    assert len(parts) == 4
    wait_until(
        lambda: not any(is_alive(process) for process in (*parts, *children)),
        what="every part to die",
        within_seconds=5,
    )
