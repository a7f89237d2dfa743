"""One agent's live configuration: a snapshot kept fresh, and how fresh it is.

Starts and stops the parts: the watcher reads, the hub brings hints, the cell holds the
snapshot, the board the status.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from retunable.config.declaration import Declaration
from retunable.config.items import Items, StoreKind
from retunable.config.snapshot import Snapshot
from retunable.errors import ConfigurationError, NotReady
from retunable.live.callbacks import Callback, Callbacks
from retunable.live.health import LiveStatus
from retunable.live.last_good_file import LastGoodFile, Owner
from retunable.live.memory import Memory
from retunable.live.snapshot_cell import SnapshotCell
from retunable.live.store import (
    ConfigurationStore,
    StoreDescription,
    StoreFailure,
    TokenRefused,
)
from retunable.live.subscription import ConfigSubscription
from retunable.live.supervision import SupervisedTask
from retunable.live.targets import claimed
from retunable.live.watcher import Watcher
from retunable.live.witness import ItemChange

logger = logging.getLogger("retunable")

_FLUSH_SECONDS: Final = 1.0


class LiveConfiguration:
    """Keeps one agent's snapshot as fresh as the store lets it."""

    def __init__(
        self,
        declaration: Declaration,
        subscription: ConfigSubscription,
        *,
        store: ConfigurationStore,
    ) -> None:
        self._declaration: Final = declaration
        self._subscription: Final = subscription
        self._store: Final = store
        self._cell: Final = SnapshotCell(declaration, subscription)
        self._watcher: Watcher | None = None
        self._task: SupervisedTask | None = None
        self._target: Final = ExitStack()

    @property
    def snapshot(self) -> Snapshot:
        """What is known now.

        Raises:
            NotReady: nothing was ever read and nothing is remembered on disk.
        """
        if self._cell.snapshot is None:
            status = self.status
            raise NotReady(
                f"agent {self._declaration.agent!r} has no configuration yet "
                f"({status.reason.value if status.reason else 'starting'}: {status.detail})",
                part="configuration store",
            )
        return self._cell.snapshot

    @property
    def items(self) -> Items | None:
        """What stood in the store at the last reading; None where there was none yet."""
        return self._cell.items

    @property
    def status(self) -> LiveStatus:
        """How fresh the snapshot is, at this moment."""
        return self._cell.status

    def on_change(self, callback: Callback[Snapshot]) -> Callable[[], None]:
        """Call ``callback(old, new)`` after each change; returns what takes it away again.

        ``old`` is None for the first snapshot. Calls come in order and one at a time; changes
        that come while one runs are put together into the next. A plain function runs in a
        thread.
        """
        return self._cell.changes.add(callback)

    def pass_changes_on(self, callbacks: Callbacks[Snapshot]) -> None:
        """Tell these callbacks of each change, before those of ``on_change``."""
        self._cell.changes.pass_on(callbacks)

    def on_status(self, callback: Callback[LiveStatus]) -> Callable[[], None]:
        """Call ``callback(old, new)`` when state, reason, stream or replacements change.

        As for ``on_change``: in order, one at a time, put together while one runs.
        """
        return self._cell.board.callbacks.add(callback)

    def on_item_change(self, callback: Callable[[tuple[ItemChange, ...], StoreKind], None]) -> None:
        """Call ``callback`` for what changed in the store between two readings, used or not.

        At once and on the event loop, before the snapshot changes; it must neither wait nor raise.
        The first reading is compared with what is remembered on disk.
        """
        self._cell.witnessed = callback

    async def start(self) -> None:
        """Read the first snapshot and go on watching.

        Returns with the status NOT_READY where neither the store nor the disk has one; the
        watching goes on.

        Raises:
            ConfigurationError: another agent of this process reads the same keys, or the sidecar
                refuses this program's token.
            StoreFailure: the sidecar did not answer within its deadline.
        """
        if self._watcher is not None:
            return
        timings = self._subscription.timings
        self._claim()
        self._cell.board.clock = asyncio.get_running_loop().time
        self._watcher = Watcher(
            self._declaration.keys, self._cell, store=self._store, timings=timings
        )
        try:
            description = await self._wait_for_sidecar(self._watcher)
        except BaseException:
            await self.stop()
            raise
        self._restore(description)
        await self._watcher.read_if_due()
        self._task = SupervisedTask(
            "configuration watcher",
            self._watcher.run,
            timings=timings,
            on_death=self._cell.task_died,
        )

    async def stop(self) -> None:
        """Stop watching; the last snapshot stays readable. Needs no sidecar."""
        task, self._task = self._task, None
        watcher, self._watcher = self._watcher, None
        if task is not None:
            await task.stop()
        if watcher is not None:
            await watcher.leave()
        if self._cell.memory is not None:
            await self._cell.memory.flush(within_seconds=_FLUSH_SECONDS)
        self._cell.changes.cancel()
        self._cell.board.callbacks.cancel()
        self._target.close()

    def _claim(self) -> None:
        declaration = self._declaration
        target = (self._store.address, declaration.prefix)
        agent, environment = declaration.agent, declaration.environment
        self._target.enter_context(claimed(target, agent=agent, environment=environment))

    async def _wait_for_sidecar(self, watcher: Watcher) -> StoreDescription:
        timings = self._subscription.timings
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + timings.sidecar_deadline_seconds
        pause_seconds = timings.backoff_first_seconds
        while True:
            try:
                return await watcher.describe()
            except TokenRefused as refused:
                raise ConfigurationError(refused.detail) from refused
            except StoreFailure as failure:
                stopped = self._watcher is not watcher
                if stopped or loop.time() + pause_seconds > give_up_at:
                    raise
                logger.info("waiting for the sidecar: %s", failure.detail)
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, timings.read_retry_last_seconds)

    def _restore(self, description: StoreDescription) -> None:
        directory = self._subscription.last_good_dir
        if directory is None:
            return
        owner = Owner(
            app_id=description.app_id,
            store=self._subscription.store,
            agent=self._declaration.agent,
            environment=self._declaration.environment,
            prefix=self._declaration.prefix,
        )
        delay_seconds = self._subscription.timings.last_good_delay_seconds
        file = LastGoodFile(Path(directory), owner)
        self._cell.restore(Memory(file, delay_seconds=delay_seconds))
