"""agent.py, running on each backend, the embedded one too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.program import AgentProgram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.embedded import EmbeddedStack
    from dev.stack import Stack


STACK_FIXTURES = {
    "embedded": "embedded_stack",
    "redis": "redis_stack",
    "postgresql": "postgres_stack",
}


@pytest.fixture(params=[pytest.param(n, marks=getattr(pytest.mark, n)) for n in STACK_FIXTURES])
def stack(request: pytest.FixtureRequest) -> Stack | EmbeddedStack:
    """One test, every backend."""
    running: Stack | EmbeddedStack = request.getfixturevalue(STACK_FIXTURES[request.param])
    return running


@pytest.fixture
def program(stack: Stack | EmbeddedStack, tmp_path: Path) -> Iterator[AgentProgram]:
    """A running agent.py on any backend."""
    started = AgentProgram(tmp_path / "agent", environment=stack.environment)
    try:
        started.wait_serving()
        yield started
    finally:
        started.process.terminate(within_seconds=10)
