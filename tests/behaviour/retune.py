"""The installed command line, run where the agent runs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.behaviour.agent_process import AgentProcess

COMMAND = "import sys; from retunable.cli import main; sys.exit(main())"
COMMAND_SECONDS = 30


def retune(agent: AgentProcess, *words: str) -> str:
    """Run `retune` beside an agent, whose own record says where its store is; returns stdout."""
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        cwd=agent.folder,
        env=agent.environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, f"retune {words} ended with {ended.returncode}: {ended.stderr}"
    return ended.stdout
