"""`retune` in a second terminal finds the running agent.py by the record that it left."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.acceptance.program import AgentProgram


def test_set_changes_what_ask_is_answered(program: AgentProgram) -> None:
    said = program.retune("set", "agent_role", "Expert Data Scientist")
    assert said.returncode == 0, said.stdout + said.stderr
    answer = program.retune("ask", "Who are you?")
    assert answer.returncode == 0, answer.stderr
    assert "Expert Data Scientist" in answer.stdout


def test_set_says_how_long_the_agent_took(program: AgentProgram) -> None:
    said = program.retune_json("set", "max_iterations", "20")
    assert [one["outcome"] for one in said["replicas"]] == ["applied"]
    assert said["replicas"][0]["milliseconds"] < 5_000


def test_set_refuses_what_the_agent_would_refuse(program: AgentProgram) -> None:
    said = program.retune("set", "max_iterations", "many")
    assert said.returncode == 2
    assert "max_iterations" in said.stderr


def test_get_shows_the_store_and_the_agent(program: AgentProgram) -> None:
    program.retune_json("set", "agent_role", "Expert Data Scientist")
    said = program.retune("get", "agent_role")
    assert said.returncode == 0, said.stderr
    assert "Expert Data Scientist" in said.stdout


def test_reset_brings_the_programs_own_values_back(program: AgentProgram) -> None:
    program.retune_json("set", "agent_role", "Expert Data Scientist")
    program.retune_json("reset", "--yes")
    assert "Expert Data Scientist" not in program.retune("ask", "Who are you?").stdout


def test_doctor_finds_nothing_wrong(program: AgentProgram) -> None:
    said = program.retune("doctor")
    assert said.returncode == 0, said.stdout + said.stderr
