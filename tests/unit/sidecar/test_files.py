"""Where the data of one app lies, and what it stays apart from."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from retunable.errors import DatabaseUnavailable
from retunable.serve.address import AGENTS_FOLDER
from retunable.sidecar import files
from retunable.sidecar.files import DEFAULT_DATA_DIR, DataFiles, configuration_file

SHARED = ("agents", "last-good", "run", "apps", "configuration.db", "messages.db")


@pytest.mark.parametrize("app_id", SHARED)
def test_an_app_that_is_called_like_something_shared_has_a_folder_of_its_own(app_id: str) -> None:
    app = DataFiles(DEFAULT_DATA_DIR, app_id)
    shared = [
        app.configuration,
        app.messages,
        AGENTS_FOLDER,
        *(DEFAULT_DATA_DIR / name for name in SHARED if name != "apps"),
    ]
    assert not [path for path in shared if path in (app.state, *app.state.parents)]


def test_a_database_without_a_folder_for_it_is_unavailable(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.write_text("a file in its place")
    with pytest.raises(DatabaseUnavailable, match="make it and its folder writable") as refused:
        files.make_private_file(folder / "state.db")
    assert refused.value.reason == "read-only"


def test_a_folder_that_another_program_holds_is_said_to_be_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_ALONE_SECONDS", 0.0)
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with pytest.raises(DatabaseUnavailable, match="end what holds the lock") as refused:
        files.make_private_file(tmp_path / "state.db")
    assert refused.value.reason == "busy"
    os.close(folder)
    files.make_private_file(tmp_path / "state.db")


def test_all_of_an_app_lies_in_one_folder_of_its_own_and_configuration_does_not() -> None:
    app = DataFiles(Path("data"), "shop")
    assert (app.state, app.lock) == (
        Path("data/apps/shop/state.db"),
        Path("data/apps/shop/lock"),
    )
    assert app.configuration == configuration_file(Path("data")) == Path("data/configuration.db")
