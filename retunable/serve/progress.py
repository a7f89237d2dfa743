"""The steps of a run as server-sent events: ``step`` each time one is recorded or grows, then ``end``.

A step comes with its number, so a client that connects again drops what it knows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

from retunable.agent.runs.views import ExplainedStep
from retunable.errors import RetunableError
from retunable.serve.problem import problem_of
from retunable.serve.run_models import step_progress
from retunable.serve.served import KeepsRuns

MEDIA_TYPE: Final = "text/event-stream"
# nginx drops a connection that is silent for 60 s, and a model call may be.
SILENCE_SECONDS: Final = 15.0
GOES_ON: Final = b": the run goes on\n\n"


async def events(
    agent: KeepsRuns, run_id: str, *, silence_seconds: float = SILENCE_SECONDS
) -> AsyncGenerator[bytes, None]:
    """Yield what is sent of a run until it is over; ``error`` is the last event of a part away."""
    try:
        async for step in _spoken(agent.follow(run_id), silence_seconds):
            yield GOES_ON if step is None else _event("step", step_progress(step))
        yield _event("end", (await agent.run_state(run_id)).to_json())
    except RetunableError as error:
        yield _event("error", problem_of(error).to_json())


async def _spoken(
    steps: AsyncIterator[ExplainedStep], silence_seconds: float
) -> AsyncIterator[ExplainedStep | None]:
    """Yield the steps, and None each time that none came for a while."""
    coming: asyncio.Task[ExplainedStep | None] = asyncio.create_task(_next(steps))
    try:
        while True:
            await asyncio.wait({coming}, timeout=silence_seconds)
            if not coming.done():
                yield None
                continue
            step = coming.result()
            if step is None:
                return
            yield step
            coming = asyncio.create_task(_next(steps))
    finally:
        coming.cancel()


async def _next(steps: AsyncIterator[ExplainedStep]) -> ExplainedStep | None:
    return await anext(steps, None)


def _event(name: str, data: dict[str, Any]) -> bytes:
    # JSON has no line end in it, so one data line holds all.
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
