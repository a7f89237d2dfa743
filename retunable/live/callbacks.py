"""Telling others about a change, apart from whoever found it.

Each callback gets its calls in order and one at a time. While one runs, later changes wait
and are put together: the next call gets the old value of the first and the new value of the
last of them. A plain function runs in a thread of its own and an async one on the event loop;
one that raises is logged, and one that hangs holds up nobody but itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

logger = logging.getLogger("retunable")

Value = TypeVar("Value")
Callback = Callable[[Value | None, Value], Awaitable[None] | None]


class Callbacks(Generic[Value]):
    """The callbacks for one kind of change."""

    def __init__(self) -> None:
        self._subscribers: tuple[_Subscriber[Value], ...] = ()

    def add(self, callback: Callback[Value]) -> Callable[[], None]:
        """Add a callback; calling what is returned takes it away again."""
        subscriber = _Subscriber(callback)
        self._subscribers = (*self._subscribers, subscriber)

        def remove() -> None:
            self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)

        return remove

    def tell(self, old: Value | None, new: Value) -> None:
        """Tell everybody that ``old`` became ``new``; returns at once."""
        for subscriber in self._subscribers:
            subscriber.tell(old, new)

    def cancel(self) -> None:
        """Stop waiting for callbacks that are still running; their threads end by themselves."""
        for subscriber in self._subscribers:
            subscriber.cancel()


class _Subscriber(Generic[Value]):
    def __init__(self, callback: Callback[Value]) -> None:
        self._callback = callback
        self._waiting: tuple[Value | None, Value] | None = None
        self._task: asyncio.Task[None] | None = None

    def tell(self, old: Value | None, new: Value) -> None:
        self._waiting = (self._waiting[0] if self._waiting else old, new)
        if self._task is None:
            self._task = asyncio.create_task(self._deliver(), name="retunable callback")

    def cancel(self) -> None:
        self._waiting = None
        if self._task is not None:
            self._task.cancel()

    async def _deliver(self) -> None:
        try:
            while self._waiting is not None:
                (old, new), self._waiting = self._waiting, None
                await self._call(old, new)
        finally:
            self._task = None

    async def _call(self, old: Value | None, new: Value) -> None:
        try:
            if inspect.iscoroutinefunction(self._callback):
                await self._callback(old, new)
                return
            result = await in_own_thread(lambda: self._callback(old, new))
            if inspect.isawaitable(result):
                await result
        except Exception:
            # A supervised seam: a program's callback may raise anything.
            logger.exception("the callback %r raised", self._callback)


Result = TypeVar("Result")


async def in_own_thread(work: Callable[[], Result]) -> Result:
    """Run a function in a daemon thread, which cannot hold up the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Result | None, error: Exception | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            outcome: tuple[Result | None, Exception | None] = (context.run(work), None)
        except Exception as error:  # noqa: BLE001 - handed on to whoever awaits
            outcome = (None, error)
        except BaseException as error:  # noqa: BLE001 - a SystemExit here must not end the loop
            outcome = (None, RuntimeError(f"raised {error!r}"))
        # The loop may be gone by now: then nobody awaits any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, name="retunable callback", daemon=True).start()
    return await future
