"""Waiting for what an agent comes to know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from retunable import DurableAgent, Snapshot


async def until_snapshot(agent: DurableAgent, holds: Callable[[Snapshot], bool]) -> Snapshot:
    """Wait for a snapshot of which something holds."""
    changed = asyncio.Event()

    async def wake(old: Snapshot | None, new: Snapshot) -> None:
        changed.set()

    remove = agent.on_change(wake)
    try:
        async with asyncio.timeout(10):
            while not holds(agent.snapshot):
                changed.clear()
                await changed.wait()
    finally:
        remove()
    return agent.snapshot
