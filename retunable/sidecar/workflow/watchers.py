"""Clients that wait until an instance is in a certain state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from retunable.sidecar.workflow.instance import Status


class Watchers:
    """Hands on what instances were seen as; lives on one event loop."""

    def __init__(self) -> None:
        self._queues: dict[str, set[asyncio.Queue[Status]]] = {}

    @asynccontextmanager
    async def watch(self, instance_id: str) -> AsyncIterator[asyncio.Queue[Status]]:
        """Give every status that an instance is seen in from now on."""
        queue: asyncio.Queue[Status] = asyncio.Queue()
        queues = self._queues.setdefault(instance_id, set())
        queues.add(queue)
        try:
            yield queue
        finally:
            queues.discard(queue)
            if not queues:
                self._queues.pop(instance_id, None)

    def tell(self, seen: Mapping[str, Status]) -> None:
        """Hand on what instances are now."""
        if not self._queues:
            return
        for instance_id, status in seen.items():
            for queue in self._queues.get(instance_id, ()):
                queue.put_nowait(status)
