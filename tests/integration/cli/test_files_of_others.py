"""Whoever may not use the files of a machine is told which file, and which right is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retunable.config.agent_config import AgentConfig
from retunable.sidecar.configuration import ConfigurationFile
from retunable.sidecar.files import DEFAULT_DATA_DIR, configuration_file
from tests.as_a_user import run_as_a_user
from tests.integration.cli.conftest import Retune

pytestmark = pytest.mark.embedded
RETUNE = "import sys; from retunable.cli import main; sys.exit(main())"
NOBODY_LISTENS = "postgresql://u@localhost:1/db"


@pytest.fixture
def folder(retune: Retune, tmp_path: Path) -> Path:
    """The data folder of a machine on which version 1 of an agent was saved."""
    ConfigurationFile(configuration_file(DEFAULT_DATA_DIR)).write({"agent_role": "Guide"})
    Path("v.json").write_text(json.dumps(AgentConfig(model="offline", tools=()).to_json()))
    assert retune("save", "a", "v.json", "-m", "x").code == 0
    return tmp_path / DEFAULT_DATA_DIR


def said_to_a_user(*arguments: str) -> str:
    ran = run_as_a_user("-c", RETUNE, *arguments)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    [line] = ran.stderr.splitlines()
    return line


def test_a_release_store_that_may_not_be_written_is_named_with_the_right(folder: Path) -> None:
    (folder / "releases.db").chmod(0o400)
    folder.chmod(0o500)
    said = said_to_a_user("versions", "a")
    folder.chmod(0o700)

    assert "the release store .retunable/releases.db cannot be used" in said
    assert "make it and its folder writable for this user" in said
    assert "roles.sql" not in said


def test_a_release_store_that_may_not_be_opened_is_not_told_to_start(folder: Path) -> None:
    (folder / "releases.db").chmod(0o000)
    said = said_to_a_user("versions", "a")

    assert ".retunable/releases.db cannot be used (unable to open" in said
    assert "start it" not in said


def test_a_folder_that_may_not_be_looked_into_is_named(folder: Path) -> None:
    folder.chmod(0o000)
    said = said_to_a_user("versions", "a")
    folder.chmod(0o700)

    assert "releases.db cannot be looked at (Permission denied); run this as the user who" in said


def test_a_release_store_whose_folder_cannot_be_made_is_named(folder: Path) -> None:
    folder.chmod(0o500)
    said = said_to_a_user(
        "save", "a", "v.json", "-m", "x", "--releases", "sqlite:///.retunable/x/r.db"
    )
    folder.chmod(0o700)

    assert "the release store's folder .retunable/x cannot be made (Permission denied)" in said


def test_whoever_only_reads_is_told_why_it_needs_to_write(folder: Path) -> None:
    configuration_file(folder).chmod(0o444)
    folder.chmod(0o500)
    said = said_to_a_user("get", "agent_role", "--agent", "a")
    folder.chmod(0o700)

    assert "configuration.db" in said
    assert "SQLite writes beside a file that it reads, too); nothing was read" in said
    assert "--data-dir" not in said


def test_a_server_that_is_away_is_named_on_one_line(retune: Retune) -> None:
    for arguments in (
        ("get", "--agent", "a", "--store", NOBODY_LISTENS),
        ("versions", "a", "--releases", NOBODY_LISTENS),
    ):
        [line] = retune(*arguments).err.splitlines()
        assert "cannot be reached (" in line
        assert "\t" not in line
