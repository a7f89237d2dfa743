"""The seam to the state store: the same facts on Redis, PostgreSQL, SQLite, embedded and the fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dev.dapr import DaprBinaries
from dev.embedded import EmbeddedStack
from dev.stack import Stack
from retunable.agent.sidecar_link import SidecarLink
from retunable.agent.state.dapr_state import DaprState
from retunable.agent.state.store import Inserted, StateStore, TooLarge
from retunable.errors import Unavailable
from retunable.testing.fake_state import FakeState


@pytest.fixture(scope="module", params=["fake", "redis", "postgresql", "sqlite", "embedded"])
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack | EmbeddedStack | None]:
    if request.param == "fake":
        yield None
        return
    directory: Path = tmp_path_factory.mktemp("state")
    if request.param == "embedded":
        with EmbeddedStack(directory) as embedded:
            yield embedded
        return
    request.getfixturevalue("dapr_binaries")
    if request.param == "postgresql":
        request.getfixturevalue("postgres_program")
        stack: Stack = Stack.postgres(directory, schema="documented")
    else:
        request.getfixturevalue("redis_program")
        stack = Stack.redis(directory, state="sqlite" if request.param == "sqlite" else "same")
    with stack:
        yield stack


@pytest.fixture
async def store(
    backend: Stack | EmbeddedStack | None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[StateStore]:
    if backend is None:
        yield FakeState()
        return
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)
    link = SidecarLink()
    yield DaprState(link)
    await link.close()


async def test_of_racing_inserts_one_wins_and_all_learn_which(store: StateStore) -> None:
    inserted = await asyncio.gather(*(store.insert("raced", {"n": n}) for n in range(20)))
    assert sum(one.won for one in inserted) == 1
    winner = next(one.value for one in inserted if one.won)
    assert {one.value["n"] for one in inserted} == {winner["n"]}
    assert (await store.get_many(["raced"]))["raced"].value == winner


async def test_of_racing_saves_over_one_writing_one_wins(store: StateStore) -> None:
    await store.insert("saved", {"n": -1})
    etag = (await store.get_many(["saved"]))["saved"].etag
    saved = await asyncio.gather(*(store.save("saved", {"n": n}, etag=etag) for n in range(10)))
    assert sum(saved) == 1
    assert (await store.get_many(["saved"]))["saved"].value == {"n": saved.index(True)}


async def test_after_a_save_an_insert_still_loses(store: StateStore) -> None:
    await store.insert("kept", "first")
    etag = (await store.get_many(["kept"]))["kept"].etag
    assert await store.save("kept", "second", etag=etag)
    assert await store.insert("kept", "third") == Inserted(won=False, value="second")


async def test_an_old_writing_is_not_replaced(store: StateStore) -> None:
    await store.insert("old", 1)
    etag = (await store.get_many(["old"]))["old"].etag
    assert await store.save("old", 2, etag=etag)
    assert not await store.save("old", 3, etag=etag)


async def test_an_insert_of_what_stands_already_is_ones_own(store: StateStore) -> None:
    assert (await store.insert("same", ["a"])).won
    assert (await store.insert("same", ["a"])).won


async def test_absent_keys_are_left_out_and_deleted_ones_can_be_inserted(
    store: StateStore,
) -> None:
    await store.put({"here": 1, "gone": 2})
    await store.delete(["gone", "never"])
    found = await store.get_many(["here", "gone", "never"])
    assert {key: stored.value for key, stored in found.items()} == {"here": 1}
    assert (await store.insert("gone", 3)).won
    assert await store.get_many([]) == {}


@pytest.mark.parametrize(
    "value", ["", "é ☃ 🐘", "\ud800", "a||b", '{"x": "{{y}}"}', {"a": [None, 1.5, True]}]
)
async def test_a_value_comes_back_as_it_was(store: StateStore, value: object) -> None:
    await store.put({"any": value})
    assert (await store.get_many(["any"]))["any"].value == value


async def test_a_value_that_no_try_can_store_is_said_to_be_too_large(store: StateStore) -> None:
    with pytest.raises(TooLarge):
        await store.insert("huge", "x" * 5_000_000)


async def test_a_sidecar_that_is_away_is_named(
    dapr_binaries: DaprBinaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    del dapr_binaries
    monkeypatch.setenv("DAPR_GRPC_PORT", "1")
    link = SidecarLink()
    with pytest.raises(Unavailable) as away:
        await DaprState(link).get_many(["x"])
    assert away.value.part == "sidecar"
    await link.close()
