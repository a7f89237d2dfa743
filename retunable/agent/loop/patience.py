"""Patience with the state store: what a step found out is worth waiting for it to come back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, ParamSpec, TypeVar

from retunable.errors import Unavailable

_log = logging.getLogger("retunable")

FIRST_PAUSE_SECONDS: Final = 0.1
LAST_PAUSE_SECONDS: Final = 2.0

P = ParamSpec("P")
T = TypeVar("T")


async def patiently(call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Repeat a call until the state store answers it; a stop of the agent cancels the wait."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await call(*args, **kwargs)
        except Unavailable as away:
            if pause == FIRST_PAUSE_SECONDS:
                _log.warning("a step waits: %s", away)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LAST_PAUSE_SECONDS)
