"""What is forgotten by itself, with no configuration store named."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from retunable.control.upkeep import Upkeep
from retunable.events.event import Exposure
from retunable.release.store import run_events
from tests.contract.release.test_run_events import OLD, kept, said

if TYPE_CHECKING:
    from retunable.release.store.release_store import ReleaseStore
    from tests.contract.release.homes import Home


def until_gone(store: ReleaseStore) -> None:
    deadline = time.monotonic() + 60
    while kept(store):
        assert time.monotonic() < deadline, "the rows are still there"
        time.sleep(0.01)


async def test_rows_of_users_go_though_nobody_controls_rollouts_here(
    home: Home, store: ReleaseStore
) -> None:
    with store.transaction() as work:
        run_events.take_exposures(work, [Exposure(**said())])
    home.raw(OLD)
    task = asyncio.create_task(Upkeep(store, None, every_seconds=0.01).run())

    await asyncio.to_thread(until_gone, store)
    task.cancel()
    await asyncio.wait([task])
