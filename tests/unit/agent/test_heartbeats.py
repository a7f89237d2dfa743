"""Heartbeats: regular, at once when they say something else, and never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from retunable.agent.heartbeats import Heartbeats, Replica
from retunable.agent.status import AgentStatus
from retunable.config.build import build
from retunable.config.items import Item, Items, Unreadable
from retunable.config.snapshot import Snapshot
from retunable.errors import NotReady
from retunable.events.event import Event, Heartbeat, ItemSeen
from retunable.events.shown_value import digest
from retunable.live.health import Status
from tests.unit.live.scenes import DOCUMENT, declaration
from tests.unit.live.virtual_time import in_virtual_time, until


@dataclass
class Scene:
    """An agent that is what a test says, and a broker that keeps what it gets."""

    status: AgentStatus = field(default_factory=lambda: AgentStatus(state=Status.READY))
    snapshot: Snapshot | None = None
    items: Items | None = None
    takes: bool = True
    sent: list[tuple[float, Heartbeat]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    async def publish(self, event: Event, **options: Any) -> bool:
        assert isinstance(event, Heartbeat)
        self.sent.append((asyncio.get_running_loop().time(), event))
        self.options = options
        return self.takes

    def now(self) -> Snapshot:
        if self.snapshot is None:
            raise NotReady("never read", part="configuration store")
        return self.snapshot

    @property
    def times(self) -> list[float]:
        return [round(at, 1) for at, _ in self.sent]


def snapshot(items: Items) -> Snapshot:
    return replace(build(declaration(), items).snapshot, revision=len(items))


def reads(scene: Scene, **items: str) -> None:
    """The agent reads these items, as it does: what they are and what it makes of them at once."""
    scene.items = {key: Item(text) for key, text in items.items()}
    scene.snapshot = snapshot(scene.items)


@asynccontextmanager
async def beating(scene: Scene, *, seconds: float = 5.0) -> AsyncIterator[Callable[[], None]]:
    beats = Heartbeats(
        Replica(agent="a", environment="e", name="r"),
        scene,
        snapshot=scene.now,
        items=lambda: scene.items,
        status=lambda: scene.status,
        interval_seconds=seconds,
    )
    async with beats.going():
        yield beats.look


@in_virtual_time
async def test_they_come_at_the_start_and_every_interval() -> None:
    scene = Scene()
    async with beating(scene):
        await until(lambda: len(scene.sent) == 4)

    assert scene.times[:4] == [0.0, 5.0, 10.0, 15.0]
    ids = {beat.event_id for _, beat in scene.sent}
    assert len(ids) == len(scene.sent)


@in_virtual_time
async def test_a_broker_that_takes_none_changes_nothing() -> None:
    scene = Scene(takes=False)
    async with beating(scene):
        await until(lambda: len(scene.sent) == 3)

    assert scene.times[:3] == [0.0, 5.0, 10.0]


@in_virtual_time
async def test_what_changes_is_told_at_once_and_what_does_not_is_not() -> None:
    scene = Scene()
    async with beating(scene) as look:
        await asyncio.sleep(1)
        look()
        await asyncio.sleep(1)
        reads(scene, agent_role="Tuned", llm_temperature="hot")
        look()
        await until(lambda: len(scene.sent) == 2)

    at, beat = scene.sent[1]
    assert round(at, 1) == 2.0
    assert beat.items == (
        ItemSeen("agent_role", digest("Tuned")),
        ItemSeen("llm_temperature", digest("hot")),
    )
    assert [one.key for one in beat.rejected] == ["llm_temperature"]
    assert beat.status == "ready"


@in_virtual_time
async def test_a_change_in_the_moment_of_the_end_does_not_hold_it_up() -> None:
    scene = Scene()
    async with asyncio.timeout(60):
        async with beating(scene) as look:
            await asyncio.sleep(2)  # it waits for its interval or a change
            reads(scene, agent_role="Tuned")
            look()

    assert scene.sent[-1][1].leaving


@in_virtual_time
async def test_changes_in_a_burst_are_told_together() -> None:
    scene = Scene()
    async with beating(scene) as look:
        await until(lambda: len(scene.sent) == 1)
        for number in range(100):
            reads(scene, agent_role=str(number))
            assert scene.snapshot is not None
            scene.snapshot = replace(scene.snapshot, revision=number)
            look()
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.5)

    assert len(scene.sent) <= 5
    assert scene.sent[-2][1].revision == 99


@in_virtual_time
async def test_the_last_one_says_that_it_is() -> None:
    scene = Scene()
    async with beating(scene):
        await until(lambda: len(scene.sent) == 1)

    assert [beat.leaving for _, beat in scene.sent] == [False, True]
    assert scene.options["within_seconds"] == 0.5


@in_virtual_time
async def test_the_broker_forgets_one_that_says_nothing_of_now() -> None:
    scene = Scene()
    async with beating(scene, seconds=2):
        await until(lambda: len(scene.sent) == 1)
        assert scene.options["lives_seconds"] == 6


@in_virtual_time
async def test_what_was_written_anew_is_told_at_once_though_the_agent_runs_on_the_same() -> None:
    scene = Scene()
    reads(scene, llm_temperature="0.5")
    async with beating(scene) as look:
        await asyncio.sleep(1)
        assert scene.snapshot is not None
        before = scene.snapshot
        reads(scene, llm_temperature="0.50")
        assert scene.snapshot.same_as(before)
        look()
        await until(lambda: len(scene.sent) == 2)

    assert round(scene.sent[1][0], 1) == 1.0
    assert scene.sent[1][1].items == (ItemSeen("llm_temperature", digest("0.50")),)


@in_virtual_time
async def test_no_hash_of_a_secret_is_told_and_none_of_what_cannot_be_read() -> None:
    scene = Scene()
    scene.items = {
        "llm_api_key": Item("sk-1"),
        DOCUMENT: Item('{"role": "x", "api_key": "sk-2"}'),
        "agent_role": Unreadable("bad UTF-8"),
    }
    scene.snapshot = snapshot(scene.items)
    async with beating(scene):
        await until(lambda: len(scene.sent) == 1)

    assert scene.sent[0][1].items == (ItemSeen("agent_role", None),)


@in_virtual_time
async def test_a_replica_that_never_read_its_store_says_so() -> None:
    scene = Scene(snapshot=snapshot({}))
    async with beating(scene):
        await until(lambda: len(scene.sent) == 1)

    assert scene.sent[0][1].items is None
