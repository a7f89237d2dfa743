"""A configuration store in memory, with the faults of the real ones.

A real implementation of the seam: with it a test drives an agent's live configuration without
a server. Every method that is not part of ``ConfigurationStore`` is the test's side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from retunable.config.items import Item, StoreKind
from retunable.live.store import FailureKind, StoreDescription, StoreFailure, StreamEnded


class FakeStore:
    """An in-memory ``ConfigurationStore``.

    ``kind`` decides how it reads: ``redis`` key by key, so that a write can fall between two
    keys, the others in one piece. ``reads`` and ``subscriptions`` record the keys of each call,
    ``streams_at_subscription`` how many streams were open then.
    """

    def __init__(
        self,
        items: Mapping[str, str] | None = None,
        *,
        kind: StoreKind = "redis",
        app_id: str = "fake",
        address: str | None = None,
    ) -> None:
        self.kind: StoreKind = kind
        self.app_id = app_id
        self.reads: list[tuple[str, ...]] = []
        self.subscriptions: list[tuple[str, ...]] = []
        self.open_streams: list[FakeHintStream] = []
        self.streams_at_subscription: list[int] = []
        self.closed = False
        self._address = address or f"fake:{id(self):x}"
        self._items = {key: Item(value) for key, value in (items or {}).items()}
        self._poisoned: set[str] = set()
        self._failure: StoreFailure | None = None
        self._deaf_for_good = False
        self._between_keys: list[tuple[str, Callable[[], None]]] = []

    @property
    def address(self) -> str:
        """Unique unless one was given."""
        return self._address

    async def get(self, keys: Sequence[str]) -> Mapping[str, Item]:
        """Read items; on ``redis`` one key after the other."""
        self.reads.append(tuple(keys))
        await asyncio.sleep(0)
        self._raise_failure()
        if self._poisoned.intersection(keys):
            raise StoreFailure(FailureKind.POISONED, "string field contains invalid UTF-8")
        if self.kind != "redis":
            return {key: self._items[key] for key in keys if key in self._items}
        found: dict[str, Item] = {}
        for key in keys:
            if key in self._items:
                found[key] = self._items[key]
            self._happen_after(key)
            await asyncio.sleep(0)
        return found

    async def subscribe(self, keys: Sequence[str]) -> FakeHintStream:
        """Open a stream; unless told otherwise it hears every later write to its keys."""
        self.subscriptions.append(tuple(keys))
        self.streams_at_subscription.append(len(self.open_streams))
        await asyncio.sleep(0)
        if self._failure is not None and self._failure.kind is not FailureKind.STORE_UNREACHABLE:
            raise self._failure
        stream = FakeHintStream(frozenset(keys), self.open_streams, deaf=self._deaf_for_good)
        self.open_streams.append(stream)
        return stream

    async def describe(self) -> StoreDescription:
        """Say what the store is; fails while the sidecar is away."""
        if self._failure is not None and self._failure.kind is FailureKind.SIDECAR_UNREACHABLE:
            raise self._failure
        absent = self._failure is not None and self._failure.kind is FailureKind.COMPONENT_ABSENT
        return StoreDescription("other" if absent else self.kind, not absent, self.app_id)

    async def close(self) -> None:
        """End every stream."""
        self.closed = True
        self.end_streams("the store was closed")

    def set(self, key: str, value: str, *, version: str = "", announce: bool = True) -> None:
        """Write one item."""
        self.set_many({key: value}, version=version, announce=announce)

    def set_many(
        self,
        values: Mapping[str, str],
        *,
        version: str = "",
        announce: bool = True,
        torn: bool = False,
    ) -> None:
        """Write several items in one atomic write; one hint for each.

        ``torn`` lets the write happen inside the next read, right after its first key, which a
        store that reads key by key cannot exclude.
        """

        def write() -> None:
            self._items.update({key: Item(value, version) for key, value in values.items()})
            if announce:
                self._announce(values)

        if torn:
            self.happen_inside_a_read(write)
        else:
            write()

    def delete(self, *keys: str, announce: bool = True) -> None:
        """Delete items; a hint for each that was there."""
        gone = [key for key in keys if self._items.pop(key, None) is not None]
        if announce:
            self._announce(gone)

    def flush(self) -> None:
        """Delete everything without a single hint, as FLUSHDB does."""
        self._items.clear()

    def happen_inside_a_read(self, action: Callable[[], None], *, after: str = "") -> None:
        """Do something once, inside the next read, after this key (any key if empty)."""
        self._between_keys.append((after, action))

    def go_silent(self, *, for_good: bool = False) -> None:
        """Let the open streams hear nothing any more; ``for_good``: all later ones too."""
        for stream in self.open_streams:
            stream.deaf = True
        self._deaf_for_good = for_good

    def hear_again(self) -> None:
        """Let all streams hear again."""
        for stream in self.open_streams:
            stream.deaf = False
        self._deaf_for_good = False

    def fail_reads(self, kind: FailureKind, detail: str = "made to fail") -> None:
        """Let every read fail until ``mend``; the sidecar away ends the streams too."""
        self._failure = StoreFailure(kind, detail)
        if kind is FailureKind.SIDECAR_UNREACHABLE:
            self.end_streams(detail)

    def mend(self) -> None:
        """Let reads work again and poisoned values be gone."""
        self._failure = None
        self._poisoned.clear()

    def poison(self, key: str) -> None:
        """Make every read that asks for this key fail."""
        self._poisoned.add(key)

    def cure(self, key: str) -> None:
        """Make a poisoned key readable again."""
        self._poisoned.discard(key)

    def end_streams(self, detail: str = "ended by daprd (OK)") -> None:
        """End every open stream from the store's side."""
        for stream in list(self.open_streams):
            stream.end(detail)

    def announce(self, *keys: str) -> None:
        """Send a hint without a write, as a repeated or late notification."""
        self._announce(keys)

    def _announce(self, keys: Sequence[str] | Mapping[str, str]) -> None:
        for key in keys:
            for stream in self.open_streams:
                stream.tell(key)

    def _happen_after(self, key: str) -> None:
        due = [action for after, action in self._between_keys if after in ("", key)]
        self._between_keys = [one for one in self._between_keys if one[1] not in due]
        for action in due:
            action()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise StoreFailure(self._failure.kind, self._failure.detail)


class FakeHintStream:
    """One open subscription of a ``FakeStore``."""

    def __init__(self, keys: frozenset[str], siblings: list[FakeHintStream], *, deaf: bool) -> None:
        self.deaf = deaf
        self._keys = keys
        self._siblings = siblings
        self._messages: asyncio.Queue[frozenset[str] | str] = asyncio.Queue()

    async def hint(self) -> frozenset[str]:
        """Return the key of the next write that it heard."""
        message = await self._messages.get()
        if isinstance(message, str):
            raise StreamEnded(message)
        return message

    def cancel(self) -> None:
        """End the stream from the agent's side."""
        self._leave()

    def tell(self, key: str) -> None:
        """Deliver one hint, if it listens to that key and hears at all."""
        if key in self._keys and not self.deaf:
            self._messages.put_nowait(frozenset({key}))

    def end(self, detail: str) -> None:
        """End the stream from the store's side."""
        self._leave()
        self._messages.put_nowait(detail)

    def _leave(self) -> None:
        if self in self._siblings:
            self._siblings.remove(self)
