"""Where the data of one app lies, and what it stays apart from."""

from __future__ import annotations

from pathlib import Path

import pytest

from retunable.serve.address import AGENTS_FOLDER
from retunable.sidecar.files import DEFAULT_DATA_DIR, DataFiles, configuration_file

SHARED = ("agents", "last-good", "run", "apps", "configuration.db", "messages.db")


@pytest.mark.parametrize("app_id", SHARED)
def test_an_app_that_is_called_like_something_shared_has_a_folder_of_its_own(app_id: str) -> None:
    files = DataFiles(DEFAULT_DATA_DIR, app_id)
    shared = [
        files.configuration,
        files.messages,
        AGENTS_FOLDER,
        *(DEFAULT_DATA_DIR / name for name in SHARED if name != "apps"),
    ]
    assert not [path for path in shared if path in (files.state, *files.state.parents)]


def test_all_of_an_app_lies_in_one_folder_of_its_own_and_configuration_does_not() -> None:
    files = DataFiles(Path("data"), "shop")
    assert (files.state, files.lock) == (
        Path("data/apps/shop/state.db"),
        Path("data/apps/shop/lock"),
    )
    assert files.configuration == configuration_file(Path("data")) == Path("data/configuration.db")
