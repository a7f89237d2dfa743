"""The configuration of an agent without a store: its code defaults, for ever READY."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from retunable.config.build import build
from retunable.config.declaration import Declaration
from retunable.config.items import Items, StoreKind
from retunable.config.snapshot import Snapshot
from retunable.live.callbacks import Callback, Callbacks
from retunable.live.health import LiveStatus, Status
from retunable.live.witness import ItemChange


class Configuration(Protocol):
    """What an agent needs of its configuration, live or not."""

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot of now; raises NotReady where nothing was ever read."""

    @property
    def items(self) -> Items | None:
        """What stood in the store at the last reading; None where there was none."""

    @property
    def status(self) -> LiveStatus:
        """How fresh it is."""

    async def start(self) -> None:
        """Begin to follow the store."""

    async def stop(self) -> None:
        """Stop following it."""

    def on_change(self, callback: Callback[Snapshot]) -> Callable[[], None]:
        """Call back with the old and the new snapshot."""

    def pass_changes_on(self, callbacks: Callbacks[Snapshot]) -> None:
        """Tell these callbacks of each change, before those of ``on_change``."""

    def on_status(self, callback: Callback[LiveStatus]) -> Callable[[], None]:
        """Call back with the old and the new status."""

    def on_item_change(self, callback: Callable[[tuple[ItemChange, ...], StoreKind], None]) -> None:
        """Call back with what changed in the store."""


class CodeDefaults:
    """A ``Configuration`` that never changes."""

    def __init__(self, declaration: Declaration) -> None:
        self._snapshot = build(declaration, {}).snapshot

    @property
    def snapshot(self) -> Snapshot:
        """The code defaults."""
        return self._snapshot

    @property
    def items(self) -> None:
        """There is no store."""
        return None

    @property
    def status(self) -> LiveStatus:
        """READY."""
        return LiveStatus(Status.READY, detail="code defaults, no store is subscribed")

    async def start(self) -> None:
        """Nothing to follow."""

    async def stop(self) -> None:
        """Nothing to stop."""

    def on_change(self, callback: Callback[Snapshot]) -> Callable[[], None]:
        """Never calls back."""
        del callback
        return _nothing

    def pass_changes_on(self, callbacks: Callbacks[Snapshot]) -> None:
        """Never tells of any."""
        del callbacks

    def on_status(self, callback: Callback[LiveStatus]) -> Callable[[], None]:
        """Never calls back."""
        del callback
        return _nothing

    def on_item_change(self, callback: Callable[[tuple[ItemChange, ...], StoreKind], None]) -> None:
        """Never calls back."""
        del callback


def _nothing() -> None:
    return None
