"""What is kept by its checksum: effective configs, prompts as sent, tool schemas.

Kept without expiry. A process believes for ``BELIEVED_SECONDS`` that what it put is there, so
that a state store that lost its data gets it again.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from retunable.agent.models.model import ToolSpec
from retunable.agent.state.keys import StateKeys
from retunable.agent.state.store import StateStore
from retunable.config.checksum import checksum

BELIEVED_SECONDS: Final = 60.0
REMEMBERED: Final = 256


class Contents:
    """Puts and reads content of one agent."""

    def __init__(self, store: StateStore, keys: StateKeys) -> None:
        self._store = store
        self._keys = keys
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._put_at: dict[str, float] = {}

    async def put(self, values: Mapping[str, Any]) -> None:
        """Keep values under their checksums; those put lately cost nothing."""
        now = time.monotonic()
        due = {
            name: value
            for name, value in values.items()
            if now - self._put_at.get(name, -BELIEVED_SECONDS) >= BELIEVED_SECONDS
        }
        if not due:
            return
        await self._store.put({self._keys.content(name): value for name, value in due.items()})
        for name, value in due.items():
            self._remember(name, value)
            self._put_at[name] = now

    async def get_many(self, names: Iterable[str]) -> Mapping[str, Any]:
        """Return values by checksum; those that are gone are left out."""
        wanted = list(dict.fromkeys(names))
        missing = [name for name in wanted if name not in self._values]
        if missing:
            found = await self._store.get_many([self._keys.content(name) for name in missing])
            for name in missing:
                if (stands := found.get(self._keys.content(name))) is not None:
                    self._remember(name, stands.value)
        return {name: self._values[name] for name in wanted if name in self._values}

    def _remember(self, name: str, value: Any) -> None:
        self._values[name] = value
        self._values.move_to_end(name)
        while len(self._values) > REMEMBERED:
            dropped, _ = self._values.popitem(last=False)
            self._put_at.pop(dropped, None)


class ToolSchemas:
    """The tool schemas of a process with their checksums, worked out once for each choice."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[str, list[dict[str, Any]]]] = {}

    def of(self, specs: Sequence[ToolSpec]) -> tuple[str, list[dict[str, Any]]]:
        """Return checksum and JSON form of what a model is told about these tools."""
        names = tuple(spec.name for spec in specs)
        if names not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            forms = [
                {"name": s.name, "description": s.description, "parameters": dict(s.parameters)}
                for s in specs
            ]
            self._known[names] = (checksum(forms), forms)
        return self._known[names]
