"""The last good items on disk: whose they are, and what a bad disk does."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from retunable.config.items import Item
from retunable.config.last_good import LastGood
from retunable.live.last_good_file import LastGoodFile, Owner
from retunable.live.memory import Memory
from retunable.testing.fake_store import FakeStore
from tests.unit.live.scenes import role, started
from tests.unit.live.virtual_time import in_virtual_time, until

OWNER = Owner(
    app_id="demo", store="runtime-config", agent="Weather Agent", environment="default", prefix=""
)
ITEMS = LastGood({"agent_role": Item("Räuber\n", "7")}, generation=3)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    LastGoodFile(tmp_path / "new", OWNER).save(ITEMS)
    assert LastGoodFile(tmp_path / "new", OWNER).load() == ITEMS


def test_nothing_saved_is_nothing_loaded(tmp_path: Path) -> None:
    assert LastGoodFile(tmp_path, OWNER).load() is None


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    file = LastGoodFile(tmp_path, OWNER)
    file.save(ITEMS)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_save_leaves_no_temporary_file(tmp_path: Path) -> None:
    file = LastGoodFile(tmp_path, OWNER)
    file.save(ITEMS)
    file.save(ITEMS)
    assert list(tmp_path.iterdir()) == [file.path]


@pytest.mark.parametrize("part", ["app_id", "store", "agent", "environment", "prefix"])
def test_each_owner_has_a_file_of_its_own(tmp_path: Path, part: str) -> None:
    other = replace(OWNER, **{part: "weather-agent"})
    assert LastGoodFile(tmp_path, other).path != LastGoodFile(tmp_path, OWNER).path


def test_owners_whose_names_look_alike_have_files_of_their_own(tmp_path: Path) -> None:
    alike = replace(OWNER, agent="Weather-Agent")
    assert LastGoodFile(tmp_path, alike).path != LastGoodFile(tmp_path, OWNER).path


def corrupt_text(file: LastGoodFile) -> bytes:
    return file.path.read_bytes()[:-20]


def corrupt_value(file: LastGoodFile) -> bytes:
    return file.path.read_bytes().replace(b"agent_role", b"agent_goal")


def another_shape(_: LastGoodFile) -> bytes:
    return b"[]"


def not_text(_: LastGoodFile) -> bytes:
    return b"\xff\xfe"


def very_deep(_: LastGoodFile) -> bytes:
    return b"[" * 100_000


@pytest.mark.parametrize(
    "damage", [corrupt_text, corrupt_value, another_shape, not_text, very_deep]
)
def test_a_corrupt_file_is_set_aside_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: object
) -> None:
    file = LastGoodFile(tmp_path, OWNER)
    file.save(ITEMS)
    assert callable(damage)
    file.path.write_bytes(damage(file))
    assert file.load() is None
    aside = file.path.with_suffix(".corrupt")
    assert aside.exists()
    assert not file.path.exists()
    assert str(aside) in caplog.text


def test_a_file_of_another_owner_is_not_believed(tmp_path: Path) -> None:
    mine, other = LastGoodFile(tmp_path, OWNER), LastGoodFile(tmp_path, replace(OWNER, agent="x"))
    other.save(ITEMS)
    other.path.rename(mine.path)
    assert mine.load() is None


@in_virtual_time
async def test_a_disk_that_cannot_be_written_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no directory")
    store = FakeStore({"agent_role": "0"})
    async with started(store, last_good_dir=tmp_path / "file") as live:
        for value in ("1", "2"):
            store.set("agent_role", value)
            await until(lambda value=value: role(live) == value)  # type: ignore[misc]
            await until(lambda: "cannot be kept" in caplog.text)
    assert caplog.text.count("cannot be kept") == 1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@in_virtual_time
async def test_of_a_burst_only_the_last_state_is_written(tmp_path: Path) -> None:
    file = _CountingFile(tmp_path, OWNER)
    memory = Memory(file, delay_seconds=0.1)
    for generation in range(50):
        memory.remember(LastGood(generation=generation))
    await memory.flush(within_seconds=5)
    assert file.saved == [LastGood(generation=49)]


@in_virtual_time
async def test_what_is_on_disk_already_is_not_written_again(tmp_path: Path) -> None:
    LastGoodFile(tmp_path, OWNER).save(ITEMS)
    file = _CountingFile(tmp_path, OWNER)
    memory = Memory(file, delay_seconds=0.1)
    memory.load()
    memory.remember(ITEMS)
    await memory.flush(within_seconds=5)
    assert file.saved == []


def test_a_file_that_cannot_be_read_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = LastGoodFile(tmp_path, OWNER)
    file.path.mkdir()
    assert file.load() is None
    assert "cannot be read" in caplog.text


def test_the_items_are_json_that_people_can_read(tmp_path: Path) -> None:
    file = LastGoodFile(tmp_path, OWNER)
    file.save(ITEMS)
    body = json.loads(file.path.read_text())["body"]
    assert body["owner"]["agent"] == "Weather Agent"


class _CountingFile(LastGoodFile):
    def __init__(self, directory: Path, owner: Owner) -> None:
        super().__init__(directory, owner)
        self.saved: list[LastGood] = []

    def save(self, last_good: LastGood) -> None:
        self.saved.append(last_good)
        super().save(last_good)
