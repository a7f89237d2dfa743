"""Waits for an event of asyncio, for a bounded time.

Stands at the bottom, beside the errors, for every room waits so.
"""

from __future__ import annotations

import asyncio


async def wait_until_set(event: asyncio.Event, *, within_seconds: float | None) -> bool:
    """Tell whether an event was set in time, None being any time, as ``threading.Event.wait`` does.

    Not ``asyncio.wait_for``: on Python 3.11 it swallows a cancellation that meets the event, and a
    task that waits in a loop never ends.
    """
    try:
        async with asyncio.timeout(within_seconds):
            return await event.wait()
    except TimeoutError:
        return False
