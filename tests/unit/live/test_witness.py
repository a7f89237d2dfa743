"""What changed between two reads, and between which moments: surely, however the reads fell."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from retunable.config.items import Item, StoreKind
from retunable.live.subscription import Timings
from retunable.live.witness import ItemChange, Witness
from retunable.testing.fake_store import FakeStore
from tests.unit.live.scenes import live_on
from tests.unit.live.virtual_time import in_virtual_time, until

A, B = Item("a"), Item("b")


def witness() -> Witness:
    return Witness(call_seconds=2, absent_seconds=30)


def test_the_first_reading_changes_nothing() -> None:
    assert witness().saw({"k": A}, store="redis", now=100) == ()


def test_a_change_lies_between_two_readings() -> None:
    seen = witness()
    seen.saw({"k": A, "same": A}, store="redis", now=100)

    assert seen.saw({"k": B, "same": A}, store="redis", now=103) == (
        ItemChange(key="k", old=A, new=B, not_before=98, not_after=103),
    )


def test_a_key_that_went_is_a_change_to_nothing() -> None:
    seen = witness()
    seen.saw({"k": A}, store="sqlite", now=100)

    [change] = seen.saw({}, store="sqlite", now=101)
    assert (change.old, change.new, change.not_before) == (A, None, 98)


def test_on_redis_a_new_key_may_have_stood_there_unseen() -> None:
    seen = witness()
    seen.saw({}, store="redis", now=100)

    [change] = seen.saw({"k": A}, store="redis", now=101)
    assert change.not_before == 68


def test_a_clock_that_was_put_back_gives_no_time_before_itself() -> None:
    seen = witness()
    seen.saw({"k": A}, store="sqlite", now=500)

    [change] = seen.saw({"k": B}, store="sqlite", now=100)
    assert change.not_before == change.not_after == 100


def test_what_an_earlier_process_saw_last_is_compared_with() -> None:
    seen = witness()
    seen.remember({"k": A}, at=50)

    [change] = seen.saw({"k": B}, store="sqlite", now=100)
    assert (change.old, change.not_before) == (A, 48)


def file_in(folder: Path) -> Path:
    [file] = folder.glob("*.json")
    return file


async def changes_of_a_life(store: FakeStore, folder: Path) -> list[ItemChange]:
    """Start, read, stop; return what was told."""
    told: list[ItemChange] = []

    def take(changes: tuple[ItemChange, ...], kind: StoreKind) -> None:
        assert kind == "redis"
        told.extend(changes)

    live = live_on(store, last_good_dir=folder, timings=Timings(last_good_delay_seconds=0))
    live.on_item_change(take)
    await live.start()
    await until(lambda: bool(list(folder.glob("*.json"))))
    await live.stop()
    return told


@in_virtual_time
async def test_the_next_start_tells_what_changed_while_nobody_ran(tmp_path: Path) -> None:
    store = FakeStore()
    assert await changes_of_a_life(store, tmp_path) == []
    os.utime(file_in(tmp_path), (1000, 1000))

    store.set("agent_role", "While nobody ran")
    [change] = await changes_of_a_life(store, tmp_path)

    assert (change.key, change.old, change.not_before) == ("agent_role", None, 968)
    assert await changes_of_a_life(store, tmp_path) == []


@in_virtual_time
async def test_a_file_says_until_when_the_store_held_what_it_says(tmp_path: Path) -> None:
    store = FakeStore()
    store.set("agent_role", "Good")
    live = live_on(store, last_good_dir=tmp_path)
    await live.start()
    await until(lambda: bool(list(tmp_path.glob("*.json"))))
    os.utime(file_in(tmp_path), (1000, 1000))

    await until(lambda: file_in(tmp_path).stat().st_mtime > 1000)
    # What stands there now is refused, so that the file is not what stands there.
    store.set("agent_role", "x" * 300_000)
    await until(lambda: bool(live.snapshot.rejected))
    os.utime(file_in(tmp_path), (1000, 1000))
    await asyncio.sleep(200)
    await live.stop()

    assert file_in(tmp_path).stat().st_mtime == 1000
