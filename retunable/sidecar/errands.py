"""What one thread has an event loop do for it, and how results get to the callers on a loop.

Two busy threads of Python cost more than one. SQLite lets go of the interpreter's lock at every
statement: beside a loop full of gRPC calls, a thread spent 0.9 ms of CPU on what costs 0.25 ms alone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

Result = TypeVar("Result")
Loop: TypeAlias = asyncio.AbstractEventLoop

LOOK_SECONDS: Final = 0.05
"""How often a thread looks whether the loop that works for it is still wanted."""


@dataclass(frozen=True, slots=True)
class Raised:
    """What a piece of work raised, to be raised again where somebody waits for it."""

    error: Exception


def run_on(loop: Loop, work: Callable[[], Result], *, given_up: Callable[[], bool]) -> Result:
    """Run work once, in a loop's thread, and wait for it; here, where that loop does not serve us.

    Raises what the work raises.
    """
    if given_up():
        return work()
    errand = _Errand(work)
    try:
        loop.call_soon_threadsafe(errand.run)
    except RuntimeError:  # of a closed loop
        return work()
    while not errand.done.wait(LOOK_SECONDS):
        # Who gave us up may be that very loop, which waits for us now.
        if given_up() or loop.is_closed():
            errand.run()
    return errand.result()


def resolve(outcomes: Iterable[tuple[asyncio.Future[Any], object]]) -> None:
    """Hand results to futures of any loops, from any thread, waking each loop once."""
    by_loop: dict[Loop, list[tuple[asyncio.Future[Any], object]]] = {}
    for future, outcome in outcomes:
        by_loop.setdefault(future.get_loop(), []).append((future, outcome))
    for loop, its_own in by_loop.items():
        with suppress(RuntimeError):  # of a closed loop: nobody waits there any more
            loop.call_soon_threadsafe(_resolve_here, its_own)


def _resolve_here(outcomes: Iterable[tuple[asyncio.Future[Any], object]]) -> None:
    for future, outcome in outcomes:
        if future.done():  # its caller was cancelled
            continue
        if isinstance(outcome, Raised):
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome)


class _Errand(Generic[Result]):
    """Work that the first to come does; everybody else leaves it."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._claim = threading.Lock()
        self._done: list[Result] = []
        self._error: Exception | None = None
        self.done = threading.Event()

    def run(self) -> None:
        if not self._claim.acquire(blocking=False):
            return
        try:
            self._done.append(self._work())
        except Exception as error:  # noqa: BLE001 - it belongs to the thread that waits
            self._error = error
        self.done.set()

    def result(self) -> Result:
        if self._error is not None:
            raise self._error
        return self._done[0]
