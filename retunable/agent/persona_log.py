"""The log line that shows, every few seconds, who the agent is now."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from retunable.agent.code_defaults import Configuration
from retunable.config.snapshot import Snapshot
from retunable.live.health import Status

LONGEST_SHOWN: Final = 120

_log = logging.getLogger("retunable")


class PersonaLog:
    """Writes the line of a configuration; none before there is one."""

    def __init__(self, configuration: Configuration, *, seconds: float) -> None:
        self._configuration = configuration
        self._seconds = seconds

    async def go_on(self) -> None:
        """Write it every so many seconds until cancelled."""
        while True:
            if self._configuration.status.state is not Status.NOT_READY:
                _log.info("%s", persona_line(self._configuration.snapshot))
            await asyncio.sleep(self._seconds)


def persona_line(snapshot: Snapshot) -> str:
    """Return the line; long values are cut."""
    config = snapshot.config
    role, goal = _cut(config.role or snapshot.agent), _cut(config.goal or "")
    return f"Current Persona: [{role}] - {goal}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_SHOWN else line[:LONGEST_SHOWN] + "…"
