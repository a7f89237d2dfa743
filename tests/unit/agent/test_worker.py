"""The worker hands a run's activities to its agent, however late that is started."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from retunable.agent.loop.steps import Steps
from retunable.agent.loop.worker import Host, Worker

DATA = {"agent": "late", "environment": "default", "run_id": "accepted"}


class StandInSteps:
    """Answers what it was asked."""

    async def model_step(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return {"asked": dict(data)}


class Heard(logging.Handler):
    """Notes that something was logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put_nowait(record.getMessage())


@pytest.fixture
def log() -> Iterator[Heard]:
    heard, logger = Heard(), logging.getLogger("retunable")
    logger.addHandler(heard)
    yield heard
    logger.removeHandler(heard)


async def test_a_run_waits_for_an_agent_that_starts_late(log: Heard) -> None:
    worker = Worker(agent_late_seconds=0.0)
    step = asyncio.create_task(worker.model_step(DATA))
    told = await asyncio.wait_for(log.lines.get(), 10)
    assert told.startswith("run accepted waits for agent 'late'")
    steps = cast("Steps", StandInSteps())
    worker.serve(("late", "default"), Host(steps, asyncio.get_running_loop()))
    assert await asyncio.wait_for(step, 10) == {"asked": DATA}
