"""agent.py, running on each backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.program import AgentProgram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.stack import Stack


@pytest.fixture
def program(stack: Stack, tmp_path: Path) -> Iterator[AgentProgram]:
    """A running agent.py on any backend."""
    started = AgentProgram(tmp_path / "agent", environment=stack.environment)
    try:
        started.wait_serving()
        yield started
    finally:
        started.process.terminate(within_seconds=10)
