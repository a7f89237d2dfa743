"""The controller beside the control process: its worker, and a workflow for every rollout that goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from retunable.control.rollouts.controller import Controller
from retunable.control.rollouts.sdk_runtime import Runtime
from retunable.control.rollouts.workflow import Starter, new_runtime
from retunable.errors import ReleaseStoreError, Unavailable
from retunable.release.store import rollouts
from retunable.release.store.release_store import ReleaseStore

logger = logging.getLogger("retunable")

EVERY_SECONDS: Final = 1.0
START_PAUSE_SECONDS: Final = 2.0
STOP_SECONDS: Final = 5.0


@asynccontextmanager
async def controlling_rollouts(controller: Controller) -> AsyncIterator[None]:
    """Follow every rollout of the controller's release store while inside."""
    runtime, starter = new_runtime(controller), Starter()
    tasks = [
        asyncio.create_task(_started(runtime), name="retunable rollout worker"),
        asyncio.create_task(_follow(controller.store, starter), name="retunable rollouts"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(runtime.shutdown), STOP_SECONDS)
        await starter.close()


async def _started(runtime: Runtime) -> None:
    """Connect the worker; a sidecar that does not take it yet is asked again."""
    while True:
        try:
            await asyncio.to_thread(runtime.start)
        except Exception as error:  # noqa: BLE001 - a supervised seam: the SDK raises what it likes
            logger.warning("rollouts are not controlled yet: %s", error)
            await asyncio.sleep(START_PAUSE_SECONDS)
        else:
            return


async def _follow(store: ReleaseStore, starter: Starter) -> None:
    said: str | None = None
    while True:
        try:
            for name in await asyncio.to_thread(_going_on, store):
                await starter.start(name)
            said = None
        except (ReleaseStoreError, Unavailable) as error:
            if str(error) != said:
                logger.warning("rollouts wait: %s", error)
            said = str(error)
        await asyncio.sleep(EVERY_SECONDS)


def _going_on(store: ReleaseStore) -> list[str]:
    with store.snapshot() as work:
        return [row.id for row in rollouts.all_live(work)]
