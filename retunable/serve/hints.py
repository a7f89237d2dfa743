"""What somebody who just started an agent on their machine types next, in a second terminal."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def hints() -> tuple[str, str]:
    """Return a line that retunes the agent and one that asks it, as they work in this folder."""
    retune = _command("retune")
    return (
        f'retune it from a second terminal:  {retune} set agent_role "Expert Data Scientist"',
        f'ask it there:                      {retune} ask "Who are you?"',
    )


def _command(name: str) -> str:
    """Return how a program of this Python is called here: by its name where that finds it."""
    program = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if found is not None and (not program.exists() or Path(found).samefile(program)):
        return name
    here = Path.cwd()
    shown = program.relative_to(here) if program.is_relative_to(here) else program
    return shlex.quote(str(shown))
