"""A state store in memory, with the faults of the real ones.

A real implementation of the seam: with it a test drives durable runs without a sidecar.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from retunable.agent.state.store import Inserted, Stored, TooLarge
from retunable.errors import Unavailable


class FakeState:
    """An in-memory ``StateStore``; values are copied through JSON, as a server would.

    ``calls`` counts calls by method, ``writes`` the writings of each key. ``away`` makes every
    call fail, ``lose_replies`` lets that many writes succeed whose reply is lost.
    """

    def __init__(self, *, max_bytes: int = 4_000_000) -> None:
        self.away = False
        self.lose_replies = 0
        self.calls: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()
        self._max_bytes = max_bytes
        self._items: dict[str, tuple[str, str]] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key, in order."""
        return tuple(sorted(self._items))

    def text(self) -> str:
        """Everything that is stored, as one text to search in."""
        return "\n".join(f"{key} {value}" for key, (value, _) in self._items.items())

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, Stored]:
        """Return what stands."""
        await self._call("get_many")
        found = {key: self._items[key] for key in keys if key in self._items}
        return {key: Stored(json.loads(text), etag) for key, (text, etag) in found.items()}

    async def insert(self, key: str, value: Any) -> Inserted:
        """Write if absent."""
        await self._call("insert")
        if key not in self._items:
            self._write(key, value)
            self._reply()
            return Inserted(True, value)
        stands = json.loads(self._items[key][0])
        return Inserted(stands == value, stands)

    async def save(self, key: str, value: Any, *, etag: str) -> bool:
        """Replace one writing."""
        await self._call("save")
        if key not in self._items or self._items[key][1] != etag:
            return False
        self._write(key, value)
        self._reply()
        return True

    async def put(self, values: Mapping[str, Any]) -> None:
        """Write values."""
        await self._call("put")
        for key, value in values.items():
            self._write(key, value)

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete keys."""
        await self._call("delete")
        for key in keys:
            self._items.pop(key, None)

    async def _call(self, method: str) -> None:
        self.calls[method] += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("the state store was taken away by a test", part="state store")

    def _write(self, key: str, value: Any) -> None:
        text = json.dumps(value)
        if len(text) > self._max_bytes:
            raise TooLarge(f"{len(text)} bytes")
        self.writes[key] += 1
        self._items[key] = (text, str(self.writes[key]))

    def _reply(self) -> None:
        if self.lose_replies:
            self.lose_replies -= 1
            raise Unavailable("the reply was lost by a test", part="state store")
