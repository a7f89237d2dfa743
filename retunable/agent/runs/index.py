"""The list of the latest runs: written apart from the runs, a moment later, many at once.

A crash can lose the last second of it, not a run; a run's later steps bring it back.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from retunable.agent.state.keys import StateKeys
from retunable.agent.state.store import StateStore
from retunable.errors import Unavailable

_log = logging.getLogger("retunable")

FORM: Final = 1
LISTED: Final = 500
PAUSE_SECONDS: Final = 1.0


class RunIndex:
    """The ids of the latest runs of one agent, over all its replicas."""

    def __init__(self, store: StateStore, keys: StateKeys) -> None:
        self._store = store
        self._key = keys.index
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
            self._writer = asyncio.create_task(self._write_soon(), name="retunable-run-index")

    async def latest(self, limit: int) -> tuple[str, ...]:
        """Return run ids, the latest first."""
        stands = (await self._store.get_many([self._key])).get(self._key)
        listed = dict.fromkeys(stands.value["runs"] if stands else ())
        runs = list(listed | dict.fromkeys(run for run in self._noted if run not in listed))
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

    async def _write_soon(self) -> None:
        while self._noted:
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                await self._write()
            except Unavailable:
                _log.debug("the list of runs is written later", exc_info=True)

    async def _write(self) -> None:
        while self._noted:
            adding = list(self._noted)
            stands = (await self._store.get_many([self._key])).get(self._key)
            listed = dict.fromkeys(stands.value["runs"] if stands else ())
            value = {"v": FORM, "runs": list(listed | dict.fromkeys(adding))[-LISTED:]}
            if stands is None:
                written = (await self._store.insert(self._key, value)).won
            else:
                written = await self._store.save(self._key, value, etag=stands.etag)
            if written:
                self._noted = {run: None for run in self._noted if run not in adding}
