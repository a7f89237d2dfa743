"""Retunable's own worker on a sidecar's workflows: the turns of an agent, with activities that do nothing.

What an agent's runs cost the sidecar and the worker alone, without model, tools or records.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from retunable.agent.loop.turn import FORM, first_input
from retunable.agent.loop.work_stream import WorkStream
from retunable.agent.loop.workflow_client import WorkflowClient
from retunable.live.sidecar import channel, endpoint_from_environment

SECONDS = 60


class Nothing:
    """Activities of a run that takes as many as its id says, an odd number."""

    async def model_step(self, data: Mapping[str, Any]) -> dict[str, Any]:
        wanted = int(data["run_id"].rpartition("-")[2])
        if 2 * data["step"] - 1 >= wanted:
            return {"v": FORM, "next": "end", "calls": []}
        return {"v": FORM, "next": "tools", "calls": [0]}

    async def tool_call(self, data: Mapping[str, Any]) -> dict[str, Any]:
        del data
        return {"v": FORM}


@asynccontextmanager
async def running() -> AsyncIterator[Callable[[int], Awaitable[float]]]:
    """Give a function that runs a workflow of so many activities and returns its seconds."""
    endpoint = endpoint_from_environment()
    link: Any = SimpleNamespace(
        channel=channel(endpoint), token=endpoint.metadata, doubt=lambda: None
    )
    keys: Any = SimpleNamespace(workflow=lambda run_id: run_id)
    client, stream, numbers = WorkflowClient(link, keys), WorkStream(Nothing()), itertools.count()
    reader = asyncio.create_task(stream.read())

    async def run(activities: int) -> float:
        began = time.perf_counter()
        run_id = f"{began}-{next(numbers)}-{activities}"
        data = first_input(agent="bench", environment="default", run_id=run_id)
        await client.start(run_id, data, seconds=SECONDS)
        await client.wait(run_id, seconds=SECONDS)
        return time.perf_counter() - began

    try:
        yield run
    finally:
        reader.cancel()
        await stream.close()
        await link.channel.close()
