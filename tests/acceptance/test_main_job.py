"""The main job: one line typed into the store's own client retunes agent.py while it runs."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from dev.postgres import find_program as find_postgres_program
from dev.redis import find_program as find_redis_program
from tests.acceptance.program import AGENT

if TYPE_CHECKING:
    from dev.stack import PostgresStack, RedisStack
    from tests.acceptance.program import AgentProgram

UPDATE = f"Agent {AGENT} applying config update: "
# The persona is logged every 10 s.
PERSONA_SECONDS = 12.0

ROLE = (
    "INSERT INTO configuration (key, value, version) VALUES ('agent_role','Expert Researcher','1')"
    " ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value,"
    " version = (configuration.version::int + 1)::text;"
)
LIMIT = (
    "UPDATE configuration SET value = '25', version = (version::int + 1)::text"
    " WHERE key = 'max_iterations';"
)
ROLE_ALONE = ROLE.replace(", version = (configuration.version::int + 1)::text", "")
LIMIT_ALONE = LIMIT.replace(", version = (version::int + 1)::text", "")


@pytest.mark.parametrize("stack", ["redis"], indirect=True)
@pytest.mark.redis
def test_redis_cli_retunes_agent_py(stack: RedisStack, program: AgentProgram) -> None:
    _redis_cli(stack, 'SET agent_role "Expert Data Scientist"')
    program.wait_log(f'{UPDATE}agent_role="Expert Data Scientist"')
    _redis_cli(stack, 'SET agent_goal "Find the signal"')
    program.wait_log(f'{UPDATE}agent_goal="Find the signal"')
    _redis_cli(stack, 'SET max_iterations "20"')
    program.wait_log(f"{UPDATE}max_iterations=20")
    program.wait_log(
        "Current Persona: [Expert Data Scientist] - Find the signal",
        within_seconds=PERSONA_SECONDS,
    )


@pytest.mark.parametrize("stack", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("role", "limit"), [(ROLE, LIMIT), (ROLE_ALONE, LIMIT_ALONE)], ids=["as given", "no version"]
)
@pytest.mark.postgresql
def test_psql_retunes_agent_py(
    stack: PostgresStack, program: AgentProgram, role: str, limit: str
) -> None:
    _psql(stack, role)
    program.wait_log(f'{UPDATE}agent_role="Expert Researcher"')
    _psql(stack, role.replace("Researcher", "Archivist"))
    program.wait_log(f'{UPDATE}agent_role="Expert Archivist"')
    _psql(
        stack, "INSERT INTO configuration (key, value, version) VALUES ('max_iterations','9','1')"
    )
    program.wait_log(f"{UPDATE}max_iterations=9")
    _psql(stack, limit)
    program.wait_log(f"{UPDATE}max_iterations=25")
    assert stack.store.execute("SELECT key, version FROM configuration ORDER BY key") == [
        ("agent_role", "2"),
        ("max_iterations", "2"),
    ]
    program.wait_log("Current Persona: [Expert Archivist] - ", within_seconds=PERSONA_SECONDS)


def _redis_cli(stack: RedisStack, line: str) -> None:
    """Type a line after `redis-cli`, as a shell reads it."""
    program = find_redis_program("redis-cli")
    assert program is not None
    command = [str(program), "-p", str(stack.store.port), *shlex.split(line)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    assert said.stdout.strip() == "OK"


def _psql(stack: PostgresStack, statement: str) -> None:
    program = find_postgres_program("psql") or "psql"
    command = [str(program), "-X", "-v", "ON_ERROR_STOP=1", stack.store.url]
    subprocess.run(command, input=statement, capture_output=True, text=True, timeout=10, check=True)
