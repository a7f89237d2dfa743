"""The list of the latest runs: written apart from the runs, at most once a second, many at once.

A run that begins while nothing was written lately is on it within milliseconds, and whoever meets
a run in one of its steps puts it on the list. So only a run that began and ended within the second
before a crash can be missing; it is still found by its id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from retunable.agent.state.keys import StateKeys
from retunable.agent.state.store import StateStore
from retunable.errors import Unavailable

_log = logging.getLogger("retunable")

FORM: Final = 1
LISTED: Final = 500
RUNS_PER_PAGE: Final = 50
PAGES: Final = LISTED // RUNS_PER_PAGE
"""Earlier runs are set apart by pages: a list of 500 written whole is half of what a short run writes."""
PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the list as it stands; ``pages`` counts those ever set apart before it."""

    runs: tuple[str, ...] = ()
    pages: int = 0
    etag: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any], etag: str) -> Self:
        """Read the stored form."""
        return cls(tuple(data["runs"]), data.get("pages", 0), etag)

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {"v": FORM, "runs": list(self.runs), "pages": self.pages}

    def with_runs(self, runs: tuple[str, ...]) -> tuple[Head, Mapping[int, tuple[str, ...]]]:
        """Return the list with more runs at its end, and the pages that are set apart from it."""
        left = tuple(dict.fromkeys((*self.runs, *runs)))
        pages: dict[int, tuple[str, ...]] = {}
        while len(left) >= 2 * RUNS_PER_PAGE:
            pages[self.pages + len(pages)], left = left[:RUNS_PER_PAGE], left[RUNS_PER_PAGE:]
        return Head(left, self.pages + len(pages), self.etag), pages


class RunIndex:
    """The ids of the latest runs of one agent, over all its replicas."""

    def __init__(self, store: StateStore, keys: StateKeys) -> None:
        self._store = store
        self._keys = keys
        self._noted: dict[str, None] = {}
        self._known: dict[str, None] = {}
        self._writer: asyncio.Task[None] | None = None

    def note(self, run_id: str) -> None:
        """Add a run that is not on the list yet; costs nothing now."""
        if run_id in self._known:
            return
        self._known[run_id] = self._noted[run_id] = None
        if len(self._known) > 2 * LISTED:
            self._known = dict.fromkeys(list(self._known)[-LISTED:])
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_at_times(), name="retunable-run-index")

    async def latest(self, limit: int) -> tuple[str, ...]:
        """Return run ids, the latest first."""
        head = await self._head()
        needed = -(-max(0, limit - len(head.runs)) // RUNS_PER_PAGE)
        first = max(0, head.pages - min(needed, PAGES))
        keys = [self._keys.index_page(number) for number in range(first, head.pages)]
        found = await self._store.get_many(keys)
        listed = [run for key in keys if key in found for run in found[key].value["runs"]]
        # A run that was met again stands where it stood first.
        runs = list(dict.fromkeys((*listed, *head.runs, *self._noted)))
        return tuple(reversed(runs[max(0, len(runs) - limit) :]))

    async def close(self) -> None:
        """Write what is left, within a second."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                await self._write()
        except (TimeoutError, Unavailable):
            _log.warning("the list of runs lacks its last ones: the state store did not answer")

    async def _write_at_times(self) -> None:
        while self._noted:
            try:
                await self._write()
            except Unavailable:
                _log.debug("the list of runs is written later", exc_info=True)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _write(self) -> None:
        while self._noted:
            adding = tuple(self._noted)
            head, pages = (await self._head()).with_runs(adding)
            # Set apart before the list refers to them. Another replica that loses writes the same.
            await self._store.put(
                {
                    self._keys.index_page(number): {"v": FORM, "runs": list(runs)}
                    for number, runs in pages.items()
                }
            )
            if await self._write_head(head):
                self._noted = {run: None for run in self._noted if run not in adding}
                gone = [number - PAGES for number in pages if number >= PAGES]
                await self._store.delete([self._keys.index_page(number) for number in gone])

    async def _write_head(self, head: Head) -> bool:
        if head.etag is None:
            return (await self._store.insert(self._keys.index, head.to_json())).won
        return await self._store.save(self._keys.index, head.to_json(), etag=head.etag)

    async def _head(self) -> Head:
        stands = (await self._store.get_many([self._keys.index])).get(self._keys.index)
        return Head() if stands is None else Head.from_json(stands.value, stands.etag)
