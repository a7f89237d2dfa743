"""`python agent.py` where nothing names a sidecar: it starts an embedded one and answers for it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from dev.processes import is_alive, wait_until
from tests.acceptance.program import AGENT, AgentProgram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.embedded

END_SECONDS = 10.0
BACK_SECONDS = 20.0
NAMING = ("DAPR_GRPC_PORT", "DAPR_HTTP_PORT", "DAPR_GRPC_ENDPOINT", "APP_ID", "DAPR_APP_ID")


@pytest.fixture(autouse=True)
def nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMING:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[AgentProgram]:
    """agent.py as a newcomer starts it."""
    started = AgentProgram(tmp_path / "agent", environment={})
    try:
        started.wait_serving()
        yield started
    finally:
        started.process.terminate(within_seconds=END_SECONDS)


def sidecar_of(program: AgentProgram) -> psutil.Process:
    [child] = psutil.Process(program.process.pid).children()
    return child


def wait_gone(process: psutil.Process) -> None:
    wait_until(lambda: not is_alive(process), what="the sidecar to end", within_seconds=END_SECONDS)


def test_it_says_in_one_line_where_the_data_lies_and_for_what_it_is(program: AgentProgram) -> None:
    [line] = [line for line in program.log().splitlines() if "embedded sidecar" in line]
    assert str(program.folder / ".retunable") in line
    assert "this machine alone" in line
    assert "dapr run" in line


def test_it_shows_who_it_is_and_what_to_type_next(program: AgentProgram) -> None:
    program.wait_log("Current Persona: [Research Assistant] - ")
    program.wait_log('retune set agent_role "Expert Data Scientist"')
    program.wait_log('retune ask "Who are you?"')


def test_what_was_set_is_there_after_a_restart(program: AgentProgram) -> None:
    program.retune_json("set", "agent_role", "Expert Data Scientist")
    program.process.terminate(within_seconds=END_SECONDS)
    again = AgentProgram(program.folder, environment={})
    try:
        again.wait_serving()
        assert "Expert Data Scientist" in again.retune("ask", "Who are you?").stdout
    finally:
        again.process.terminate(within_seconds=END_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_it_ends_with_its_sidecar(program: AgentProgram, number: signal.Signals) -> None:
    sidecar = sidecar_of(program)
    program.process.send(number)
    assert program.process.wait(within_seconds=END_SECONDS) == 0, program.process.last_words()
    assert not is_alive(sidecar)


def test_a_killed_agent_leaves_no_sidecar_behind(program: AgentProgram) -> None:
    sidecar = sidecar_of(program)
    program.process.kill()
    wait_gone(sidecar)


def test_a_killed_sidecar_is_started_again_and_the_status_tells(program: AgentProgram) -> None:
    sidecar_of(program).kill()
    program.wait_log("the embedded sidecar is back", within_seconds=BACK_SECONDS)
    said = program.retune("set", "agent_role", "Expert Data Scientist", "--timeout", "20")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "Expert Data Scientist" in program.retune("ask", "Who are you?").stdout
    assert program.retune_json("get")["report"]["embedded_restarts"] == 1
    assert "start its embedded sidecar again" in program.retune("doctor").stdout


def test_a_second_one_in_the_same_folder_is_told_what_runs(program: AgentProgram) -> None:
    second = AgentProgram(program.folder, environment={}, log="second.log")
    assert second.process.wait(within_seconds=BACK_SECONDS) == 1
    [line] = second.log().splitlines()
    assert f"{AGENT} runs in this folder already (pid {program.process.pid}, http" in line
    assert "another folder" in line


def test_a_port_that_is_taken_is_one_line_that_names_the_way_out(
    program: AgentProgram, tmp_path: Path
) -> None:
    taken = {"RETUNABLE_HTTP": program.environment["RETUNABLE_HTTP"]}
    second = AgentProgram(tmp_path / "second", environment=taken)
    assert second.process.wait(within_seconds=BACK_SECONDS) == 1
    assert "Traceback" not in second.log()
    [line] = [line for line in second.log().splitlines() if " ERROR " in line]
    assert f"cannot serve on {taken['RETUNABLE_HTTP']}" in line
    assert "RETUNABLE_HTTP" in line


def test_another_agent_of_the_folder_has_its_own_sidecar_on_the_same_configuration(
    program: AgentProgram,
) -> None:
    second = AgentProgram(program.folder, environment={"APP_ID": "another"}, log="second.log")
    try:
        second.wait_serving()
        assert sidecar_of(second).pid != sidecar_of(program).pid
        said = program.retune_json("set", "agent_role", "Expert Data Scientist")
        assert [one["outcome"] for one in said["replicas"]] == ["applied", "applied"]
    finally:
        second.process.terminate(within_seconds=END_SECONDS)


def test_the_doctor_tells_which_sidecar_it_is_on(program: AgentProgram) -> None:
    said = program.retune("doctor")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "ok       sidecar: an embedded one (retunable-embedded" in said.stdout
    assert "warning " not in said.stdout


def test_a_sidecar_that_is_named_and_away_is_waited_for_and_not_replaced(tmp_path: Path) -> None:
    waiting = AgentProgram(tmp_path / "agent", environment={"DAPR_GRPC_PORT": "1"})
    try:
        waiting.wait_log("waiting for the sidecar", within_seconds=BACK_SECONDS)
        assert psutil.Process(waiting.process.pid).children() == []
        assert not (waiting.folder / ".retunable" / "configuration.db").exists()
    finally:
        waiting.process.terminate(within_seconds=END_SECONDS)
