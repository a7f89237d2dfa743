"""Telling others about a change, apart from whoever found it.

Each callback gets its calls in order and one at a time. While one runs, later changes wait
and are put together: the next call gets the old value of the first and the new value of the
last of them. A plain function runs in a thread of its own and an async one on the event loop;
one that raises is logged, and one that hangs holds up nobody but itself.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from retunable.live.threads import run_in_daemon_thread

logger = logging.getLogger("retunable")

Value = TypeVar("Value")
Callback = Callable[[Value | None, Value], Awaitable[None] | None]


class Callbacks(Generic[Value]):
    """The callbacks for one kind of change."""

    def __init__(self) -> None:
        self._subscribers: tuple[_Subscriber[Value], ...] = ()
        self._groups: tuple[Callbacks[Value], ...] = ()

    def add(self, callback: Callback[Value]) -> Callable[[], None]:
        """Add a callback; calling what is returned takes it away again."""
        subscriber = _Subscriber(callback)
        self._subscribers = (*self._subscribers, subscriber)

        def remove() -> None:
            self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)

        return remove

    def pass_on(self, group: Callbacks[Value]) -> None:
        """Tell a group of somebody else's too, for ever; ``cancel`` leaves that alone."""
        self._groups = (*self._groups, group)

    def tell(self, old: Value | None, new: Value) -> None:
        """Tell everybody that ``old`` became ``new``; returns at once."""
        for group in self._groups:
            group.tell(old, new)
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
            result = await run_in_daemon_thread(
                lambda: self._callback(old, new), name="retunable callback"
            )
            if inspect.isawaitable(result):
                await result
        except Exception:
            # A supervised seam: a program's callback may raise anything.
            logger.exception("the callback %r raised", self._callback)
