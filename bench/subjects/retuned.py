"""An agent that is retuned, beside a bare subscription in the same process.

Its arguments are a number of writes and cases. Of each case it tells how long the writes took:
until the raw handler had the message, and until the new snapshot was in place (told by a callback
of ours, a moment after the swap). Writes come from a thread, from 5 to 60 ms apart, so that they
also meet the reads that follow an earlier change.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from abc import ABC, abstractmethod
from typing import Any, Literal, cast

import grpc.aio
import psycopg
import redis
from dapr.proto import api_service_v1, api_v1

from bench.subjects import pipe
from retunable import ConfigSubscription, DurableAgent, Snapshot
from retunable.release.store_url import StoreURL
from retunable.sidecar.configuration import ConfigurationFile

Case = Literal["document", "field key"]

STORE = "runtime-config"
FLOOR_KEY = "floor"
DOCUMENT_KEY = "ours"
FIELD_KEY = "agent_goal"
# What stands in the store beside the one that changes: a field key has others around it.
FIELDS = {FIELD_KEY: "goal 0", "agent_role": "Expert Researcher", "max_iterations": "20"}
LATE_SECONDS = 10.0

agent = DurableAgent(
    name="Ours",
    role="Research Assistant",
    goal="goal of the code",
    provider="offline",
    model="offline",
    configuration=ConfigSubscription(store=STORE),
)


def document(goal: str) -> str:
    """A batch as people write it, about 500 bytes."""
    return json.dumps(
        {
            "role": "Expert Researcher",
            "goal": goal,
            "instructions": ["Say what you know and what you guess. " * 3] * 3,
            "temperature": 0.2,
            "max_iterations": 20,
        }
    )


class Store(ABC):
    """A person's client of the store, used from one thread at a time."""

    @abstractmethod
    def __init__(self, url: str) -> None: ...

    @abstractmethod
    def write(self, key: str, value: str) -> float:
        """Write one item and return when that began."""

    @abstractmethod
    def delete(self, *keys: str) -> None:
        """Delete items."""


class RedisStore(Store):
    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)

    def write(self, key: str, value: str) -> float:
        began = pipe.now()
        self._client.set(key, value)
        return began

    def delete(self, *keys: str) -> None:
        self._client.delete(*keys)


class PostgresStore(Store):
    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def write(self, key: str, value: str) -> float:
        began = pipe.now()
        self._connection.execute(
            "INSERT INTO configuration (key, value, version) VALUES (%s, %s, '1')"
            " ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value",
            (key, value),
            prepare=True,
        )
        return began

    def delete(self, *keys: str) -> None:
        self._connection.execute("DELETE FROM configuration WHERE key = ANY(%s)", (list(keys),))


class EmbeddedStore(Store):
    def __init__(self, url: str) -> None:
        self._file = ConfigurationFile(StoreURL.parse(url).path)

    def write(self, key: str, value: str) -> float:
        began = pipe.now()
        self._file.write({key: value})
        return began

    def delete(self, *keys: str) -> None:
        self._file.write(dict.fromkeys(keys))


class BareSubscription:
    """One key, one stream of generated stubs, a handler that takes the value."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[float] = asyncio.Queue()
        self._value = ""

    async def open(self) -> asyncio.Task[None]:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{os.environ['DAPR_GRPC_PORT']}")
        stub: Any = api_service_v1.DaprStub  # generated, without types
        request = api_v1.SubscribeConfigurationRequest(store_name=STORE, keys=[FLOOR_KEY])
        call = stub(channel).SubscribeConfiguration(request)
        await call.read()
        return asyncio.create_task(self._listen(call))

    async def _listen(self, call: Any) -> None:
        while message := await call.read():
            self._handle(message)

    def _handle(self, message: Any) -> None:
        self._value = message.items[FLOOR_KEY].value
        self.heard.put_nowait(pipe.now())


STORES: dict[str, type[Store]] = {
    "redis": RedisStore,
    "postgresql": PostgresStore,
    "sqlite": EmbeddedStore,
}


class Swaps:
    """When which goal came into force."""

    def __init__(self) -> None:
        self._seen: asyncio.Queue[tuple[str | None, float]] = asyncio.Queue()

    async def changed(self, _: Snapshot | None, new: Snapshot) -> None:
        self._seen.put_nowait((new.config.goal, pipe.now()))

    async def of(self, goal: str) -> float:
        while True:
            seen, at = await self._seen.get()
            if seen == goal:
                return at


class Bench:
    """Writes for the one and for the other, in turn."""

    def __init__(self, store: Store, floor: BareSubscription, swaps: Swaps) -> None:
        self._store = store
        self._floor = floor
        self._swaps = swaps
        self._pause = random.Random(1)

    async def measure(self, case: Case, writes: int) -> dict[str, list[float]]:
        """Return the seconds of every write, of the floor and of ours."""
        await self._prepare(case)
        seconds: dict[str, list[float]] = {"floor": [], "ours": []}
        for number in range(writes):
            goal = f"{case} {number}"
            seconds["floor"].append(await self._floor_write(self._item(case, goal)[1]))
            seconds["ours"].append(await self._our_write(case, goal))
        return seconds

    async def _prepare(self, case: Case) -> None:
        """Put in place what the case is about, and let what came before settle."""
        if case == "field key":
            for key, value in FIELDS.items():
                self._store.write(key, value)
        else:
            self._store.write(DOCUMENT_KEY, document("goal 0"))
            self._store.delete(*FIELDS)
        await asyncio.sleep(4.0)  # over the next reconcile
        for number in range(20):
            await self._floor_write(f"warm up {number}")
            await self._our_write(case, f"warm up {case} {number}")

    async def _floor_write(self, value: str) -> float:
        began = await self._write(FLOOR_KEY, value)
        async with asyncio.timeout(LATE_SECONDS):
            return await self._floor.heard.get() - began

    async def _our_write(self, case: Case, goal: str) -> float:
        began = await self._write(*self._item(case, goal))
        async with asyncio.timeout(LATE_SECONDS):
            return await self._swaps.of(goal) - began

    async def _write(self, key: str, value: str) -> float:
        await asyncio.sleep(self._pause.uniform(0.005, 0.060))
        return await asyncio.to_thread(self._store.write, key, value)

    @staticmethod
    def _item(case: Case, goal: str) -> tuple[str, str]:
        return (DOCUMENT_KEY, document(goal)) if case == "document" else (FIELD_KEY, goal)


async def main() -> None:
    url = os.environ["RETUNABLE_STORE"]
    store = STORES[StoreURL.parse(url).kind](url)
    swaps, floor = Swaps(), BareSubscription()
    agent.on_change(swaps.changed)
    async with agent:
        listening = await floor.open()
        bench = Bench(store, floor, swaps)
        for case in sys.argv[2:]:
            seconds = await bench.measure(cast("Case", case), int(sys.argv[1]))
            pipe.tell(**seconds)
        state = agent.status
        stream = state.stream.value if state.stream else "none"
        pipe.tell(
            state=state.state.value, stream=f"{stream} after {state.replacements} replacements"
        )
        listening.cancel()


if __name__ == "__main__":
    asyncio.run(main())
