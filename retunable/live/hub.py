"""One stream of hints for all agents of an event loop on one store.

Opens, replaces and gives up streams as ``stream_health`` says; what a hint means is for the
listeners. A stream is opened only after a read has worked, and the new one stands before the
old one is cancelled: on PostgreSQL each pins a connection of daprd's pool, so the old one goes
before anything is read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from retunable.live.store import ConfigurationStore, HintStream, StoreFailure, StreamEnded
from retunable.live.stream_health import (
    Cause,
    StreamHealth,
    StreamState,
    broken,
    confirmed,
    doubted,
    heard,
    opened,
)
from retunable.live.subscription import Timings
from retunable.live.supervision import SupervisedTask

logger = logging.getLogger("retunable")


class Listener(Protocol):
    """One agent's side of the shared stream."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys whose hints it wants."""

    def hinted(self, keys: frozenset[str]) -> None:
        """Some of its keys may have changed."""

    def stream_opened(self) -> None:
        """Another stream stands: what was written before is known to nobody but the store."""

    def read_wanted(self) -> None:
        """A read decides what becomes of the stream."""

    def stream_changed(self, health: StreamHealth) -> None:
        """What is known about the stream is another than before."""

    def task_died(self, name: str) -> None:
        """The task that keeps the stream open is gone for good."""


class Hub:
    """The shared stream of one store."""

    def __init__(self, store: ConfigurationStore, timings: Timings) -> None:
        self.store: Final = store
        self.health = StreamHealth()
        self.generation = 0
        self._timings = timings
        self._listeners: tuple[Listener, ...] = ()
        self._loop = asyncio.get_running_loop()
        self._wanted: tuple[Cause, str] | None = (Cause.FIRST, "")
        self._wake = asyncio.Event()
        self._reads_work = False
        self._reads_failed = False
        self._confirmed = True
        self._pump: asyncio.Task[str] | None = None
        self._opened_at = 0.0
        self._not_before = 0.0
        self._backoff_seconds = timings.backoff_first_seconds
        self._trial: asyncio.TimerHandle | None = None
        self._task = SupervisedTask(
            "configuration stream", self._keep_open, timings=timings, on_death=self._died
        )

    @property
    def empty(self) -> bool:
        """Whether nobody listens."""
        return not self._listeners

    def attach(self, listener: Listener) -> None:
        """Let an agent listen; its keys join the stream."""
        self._listeners = (*self._listeners, listener)
        if self.generation:
            self._want(Cause.KEYS)

    def detach(self, listener: Listener) -> None:
        """Let an agent go; its keys stay in the stream until the next replacement."""
        self._listeners = tuple(one for one in self._listeners if one is not listener)

    async def close(self) -> None:
        """End the stream and let go of the store."""
        if self._trial is not None:
            self._trial.cancel()
        await self._task.stop()
        pump = self._drop_pump()
        if pump is not None:
            await asyncio.wait([pump])
        await self.store.close()

    def read_succeeded(self, generation: int) -> None:
        """A read that began under this generation of the stream worked."""
        self._reads_work = True
        if generation == self.generation and self._pump is not None:
            self._confirmed = True
            self._know(confirmed(self.health))
        if self._reads_failed:
            self._reads_failed = False
            self._renew()
        self._wake.set()

    def _renew(self) -> None:
        # A LISTEN that died with its server, flags that a Redis lost: silent for ever.
        polling = self.health.state is StreamState.POLLING
        if self.generation and not polling and self._timings.renew_after_failed_reads:
            self._want(Cause.READS_BACK)

    def read_failed(self, generation: int, detail: str) -> None:
        """A read failed: a subscription made just before is worth nothing."""
        self._reads_work = False
        self._reads_failed = True
        if generation == self.generation and not self._confirmed and self._pump is not None:
            self._drop_pump()
            self._doubt(Cause.DISCARDED, detail)

    def missed(self, generation: int, keys: frozenset[str]) -> None:
        """A read found a change that the stream did not announce in time."""
        if generation == self.generation:
            self._doubt(Cause.MISSED, ", ".join(sorted(keys)))

    def _doubt(self, cause: Cause, detail: str) -> None:
        was_polling = self.health.state is StreamState.POLLING
        most = self._timings.fruitless_replacements
        self._know(doubted(self.health, most_fruitless=most))
        if self.health.state is not StreamState.POLLING:
            self._want(cause, detail)
        elif not was_polling:
            self._wanted = None
            self._plan_trial()

    def _plan_trial(self) -> None:
        if self._trial is not None:
            self._trial.cancel()
        self._trial = self._loop.call_later(self._timings.stream_retry_seconds, self._try_again)

    def _try_again(self) -> None:
        if self.health.state is StreamState.POLLING:
            self._want(Cause.TRIAL)
            self._plan_trial()

    def _want(self, cause: Cause, detail: str = "") -> None:
        self._wanted = self._wanted or (cause, detail)
        self._wake.set()

    async def _keep_open(self) -> None:
        while True:
            self._wake.clear()
            wait_seconds = self._not_before - self._loop.time()
            if self._wanted is None or not self._reads_work or not self._listeners:
                await self._wake.wait()
            elif wait_seconds > 0:
                await asyncio.sleep(wait_seconds)
            else:
                await self._open(*self._wanted)

    async def _open(self, cause: Cause, detail: str) -> None:
        keys = tuple(dict.fromkeys(key for one in self._listeners for key in one.keys))
        self._back_off()
        self._wanted = None
        try:
            stream = await self.store.subscribe(keys)
        except StoreFailure as failure:
            logger.info("the configuration stream could not be opened: %s", failure.detail)
            self._want(cause, detail)
            self._ask_for_read()
            return
        self._drop_pump()
        self._forget_ending()
        self.generation += 1
        self._opened_at = self._loop.time()
        self._confirmed = False
        self._pump = asyncio.create_task(self._listen(stream), name="retunable hints")
        self._pump.add_done_callback(self._pump_done)
        self._know(opened(self.health, cause=cause, detail=detail))
        for listener in self._listeners:
            listener.stream_opened()

    async def _listen(self, stream: HintStream) -> str:
        try:
            while True:
                self._heard(await stream.hint())
        except StreamEnded as end:
            return str(end)
        except Exception:
            # A supervised seam: the stream is replaced whatever broke it, and that shows.
            logger.exception("reading the configuration stream failed")
            return "reading it failed"
        finally:
            stream.cancel()

    def _pump_done(self, pump: asyncio.Task[str]) -> None:
        if pump is self._pump:
            self._ended("cancelled" if pump.cancelled() else pump.result())

    def _heard(self, keys: frozenset[str]) -> None:
        for listener in self._listeners:
            mine = keys.intersection(listener.keys)
            if mine:
                listener.hinted(mine)
        if self.health.state is not StreamState.LIVE or self.health.fruitless:
            self._know(heard(self.health))

    def _ended(self, detail: str) -> None:
        logger.warning("the configuration stream ended (%s); opening another", detail)
        self._pump = None
        self._know(broken(self.health))
        self._want(Cause.ENDED, detail)
        self._ask_for_read()

    def _forget_ending(self) -> None:
        """The old stream may have ended while the new one was being opened."""
        if self._wanted is not None and self._wanted[0] is Cause.ENDED:
            self._wanted = None

    def _ask_for_read(self) -> None:
        # Get first: a subscription made while Get fails is deaf for ever on PostgreSQL.
        self._reads_work = False
        for listener in self._listeners:
            listener.read_wanted()

    def _back_off(self) -> None:
        last = self._timings.backoff_last_seconds
        if self._loop.time() - self._opened_at > last:
            self._backoff_seconds = self._timings.backoff_first_seconds
        self._not_before = self._loop.time() + self._backoff_seconds
        self._backoff_seconds = min(2 * self._backoff_seconds, last)

    def _know(self, health: StreamHealth) -> None:
        if health == self.health:
            return
        old, self.health = self.health, health
        if old.state is not health.state:
            level = logging.WARNING if health.state is StreamState.POLLING else logging.INFO
            logger.log(level, "the configuration stream is %s", health.state.value)
        if health.replacements > old.replacements:
            logger.info("the configuration stream was replaced: %s", health.last_cause)
        for listener in self._listeners:
            listener.stream_changed(health)

    def _drop_pump(self) -> asyncio.Task[str] | None:
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.cancel()
        return pump

    def _died(self, name: str) -> None:
        for listener in self._listeners:
            listener.task_died(name)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Hub]] = WeakKeyDictionary()


def join(
    listener: Listener,
    store: ConfigurationStore,
    timings: Timings,
    *,
    make: Callable[[ConfigurationStore, Timings], Hub] = Hub,
) -> Hub:
    """Return the hub of a store's address on the running event loop, with the listener in it.

    The first store that is brought is the one used; equal addresses mean equal stores.
    """
    hubs = _hubs.setdefault(asyncio.get_running_loop(), {})
    if store.address not in hubs:
        hubs[store.address] = make(store, timings)
    hub = hubs[store.address]
    hub.attach(listener)
    return hub


async def leave(listener: Listener, hub: Hub) -> None:
    """Take the listener out of its hub; the last one out closes the store."""
    hub.detach(listener)
    if hub.empty:
        _hubs.get(asyncio.get_running_loop(), {}).pop(hub.store.address, None)
        await hub.close()
