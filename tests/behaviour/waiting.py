"""Waiting for an event that can only be looked for: bounded, and it says what was seen instead."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LOOK_SECONDS = 0.02
# For the last look, which may begin in time and end late on a busy machine.
LATE_SECONDS = 0.5


def eventually(
    look: Callable[[], T],
    *,
    what: str,
    within_seconds: float,
    until: Callable[[T], bool] = bool,
    every_seconds: float = LOOK_SECONDS,
) -> T:
    """Look until what was seen passes; fail after the deadline with the last thing seen.

    A look that passes but took until after the deadline fails too.
    """
    began = time.monotonic()
    while not until(seen := look()):
        if time.monotonic() - began > within_seconds:
            raise AssertionError(
                f"waited {within_seconds:.1f} s for {what}; seen last: {_shown(seen)}"
            )
        time.sleep(every_seconds)
    took_seconds = time.monotonic() - began
    assert took_seconds <= within_seconds + LATE_SECONDS, f"{what}: after {took_seconds:.1f} s"
    return seen


def _shown(seen: object, limit: int = 1500) -> str:
    text = repr(seen)
    return text if len(text) <= limit else text[:limit] + "…"
