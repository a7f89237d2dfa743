"""Two agents in one process: one is retuned by a plain document, one by releases, turn by turn.

Its argument is a number of turns. It tells how long each took: from the write, or from the call that
activates or rolls back, until the new snapshot was in place (told by a callback of ours).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from typing import Final

from bench.subjects import pipe
from retunable import ConfigSubscription, DurableAgent, Snapshot
from retunable.config.agent_config import AgentConfig
from retunable.release.opening import open_publisher
from retunable.release.publishing.activation import Wish, activate
from retunable.release.publishing.operations import Return, roll_back
from retunable.release.publishing.outcomes import Activated
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.store import versions
from retunable.release.store.release_store import open_release_store, set_up
from retunable.release.store.versions import Draft
from retunable.release.store_url import StoreURL

SITE: Final = Site(agent="Released", prefix="released/")
LATE_SECONDS: Final = 10.0
WARM_UP: Final = 8
ROLLBACK_EVERY: Final = 4
"""The fourth turn goes back to what the second one activated."""


def an_agent(name: str, prefix: str) -> DurableAgent:
    return DurableAgent(
        name=name,
        role="Research Assistant",
        goal="goal of the code",
        provider="offline",
        model="offline",
        configuration=ConfigSubscription(store="runtime-config", prefix=prefix, last_good_dir=None),
    )


def config(goal: str) -> AgentConfig:
    """About 500 bytes, as people write it."""
    rules = ("Say what you know and what you guess. " * 3,) * 3
    return AgentConfig(
        role="Expert", goal=goal, instructions=rules, provider="offline", model="offline", tools=()
    )


class Swaps:
    """When which goal came into force in one agent."""

    def __init__(self, agent: DurableAgent) -> None:
        self._seen: asyncio.Queue[tuple[str | None, float]] = asyncio.Queue()
        agent.on_change(self._changed)

    async def _changed(self, _: Snapshot | None, new: Snapshot) -> None:
        self._seen.put_nowait((new.config.goal, pipe.now()))

    async def of(self, goal: str) -> float:
        async with asyncio.timeout(LATE_SECONDS):
            while True:
                seen, at = await self._seen.get()
                if seen == goal:
                    return at


class Bench:
    """Writes for the one and releases to the other, in turn."""

    def __init__(self, plane: ControlPlane, plain: Swaps, released: Swaps) -> None:
        self._plane = plane
        self._plain = plain
        self._released = released
        self._pause = random.Random(1)

    async def measure(self, turns: int) -> dict[str, list[float]]:
        """Return the seconds of every turn, of plain writes and of activations."""
        seconds: dict[str, list[float]] = {"floor": [], "ours": []}
        for turn in range(WARM_UP + turns):
            for side, take in (("floor", self._write), ("ours", self._release)):
                await asyncio.sleep(self._pause.uniform(0.005, 0.060))
                taken = await take(turn)
                if turn >= WARM_UP:
                    seconds[side].append(taken)
        return seconds

    async def _write(self, turn: int) -> float:
        goal = f"goal {turn}"
        text = json.dumps(config(goal).to_json())
        began = pipe.now()
        await asyncio.to_thread(self._plane.publisher.write, {"plain/plain": text})
        return await self._plain.of(goal) - began

    async def _release(self, turn: int) -> float:
        number = 1 + turn % 2
        back = turn % ROLLBACK_EVERY == ROLLBACK_EVERY - 1
        began = pipe.now()
        outcome = await asyncio.to_thread(self._back if back else self._activate, number)
        if not isinstance(outcome, Activated) or outcome.deployment.version != number:
            raise RuntimeError(f"turn {turn} ended in {outcome}")
        return await self._released.of(f"version {number}") - began

    def _activate(self, number: int) -> object:
        return activate(self._plane, SITE, Wish(version=number, reason="measured"))

    def _back(self, _: int) -> object:
        return roll_back(self._plane, SITE, Return(reason="measured"))


async def main() -> None:
    store = StoreURL.parse(os.environ["RETUNABLE_STORE"])
    # On PostgreSQL both stores are one database, and an activation is one transaction.
    releases = store.text if store.kind == "postgresql" else "sqlite:///releases.db"
    set_up(releases)
    plain, released = an_agent("Plain", "plain/"), an_agent("Released", "released/")
    swaps = Swaps(plain), Swaps(released)
    publisher = open_publisher(store)
    with open_release_store(releases) as opened:
        plane = ControlPlane(store=opened, publisher=publisher)
        for number in (1, 2):
            saved = config(f"version {number}").to_json()
            with opened.transaction() as work:
                versions.save(work, Draft(agent=SITE.agent, config=saved, reason="measured"))
        async with plain, released:
            pipe.tell(**await Bench(plane, *swaps).measure(int(sys.argv[1])))
    publisher.close()


if __name__ == "__main__":
    asyncio.run(main())
