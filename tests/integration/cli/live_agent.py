"""An agent that follows a real store by asking it at every look, served over real HTTP.

The part between store and agent is shown elsewhere, on a real sidecar; here the command line
meets an agent that takes each write at once, and one that takes none.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from retunable.agent.status import AgentStatus
from retunable.config.build import build
from retunable.config.constraints import Constraints
from retunable.config.declaration import Declaration, declare
from retunable.config.items import Item, Items
from retunable.config.last_good import LastGood
from retunable.config.snapshot import Snapshot
from retunable.release.writer import ConfigurationWriter
from retunable.serve.http import serve_http
from tests.unit.serve.standin import READY, StandInAgent


def a_declaration(agent: str = "config-aware-agent", prefix: str = "") -> Declaration:
    defaults = StandInAgent().declaration.defaults
    limits = Constraints(max_iterations=50)
    return declare(agent, defaults=defaults, constraints=limits, prefix=prefix)


@dataclass
class FollowingAgent(StandInAgent):
    """Reads its items from a store whenever it is looked at; ``deaf`` stops that."""

    declaration: Declaration = field(default_factory=a_declaration)
    store: ConfigurationWriter | None = None
    deaf: bool = False
    last_good: LastGood = field(default_factory=LastGood)
    known: Snapshot | None = None

    @property
    def snapshot(self) -> Snapshot:
        assert self.store is not None
        if self.known is None or not self.deaf:
            self.known = self._read(self.store.read(self.declaration.keys))
        return self.known

    def _read(self, items: Items) -> Snapshot:
        built = build(self.declaration, items, last_good=self.last_good, store="redis")
        self.last_good = built.last_good
        if self.known is not None and built.snapshot.same_as(self.known):
            return self.known
        revision = 1 if self.known is None else self.known.revision + 1
        return replace(built.snapshot, revision=revision)


@contextmanager
def served(agent: StandInAgent, folder: Path) -> Iterator[str]:
    """Serve an agent from a thread with an event loop of its own, as long as the block runs."""
    up, end = threading.Event(), asyncio.Event()
    told: dict[str, Any] = {}

    async def serve() -> None:
        told["loop"] = asyncio.get_running_loop()
        async with serve_http(
            agent,
            "127.0.0.1:0",
            component="runtime-config",
            agents_folder=folder / ".retunable" / "agents",
        ) as url:
            told["url"] = url
            up.set()
            await end.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert up.wait(10), "the agent did not come up"
        yield told["url"]
    finally:
        told["loop"].call_soon_threadsafe(end.set)
        thread.join(10)


FRESH: AgentStatus = replace(READY, age_seconds=0.0)
EMPTY: Mapping[str, Item] = {}
