"""`retune init`: a whole project, or nothing."""

from __future__ import annotations

from pathlib import Path

from tests.integration.cli.conftest import Retune

EXPECTED = {
    ".gitignore",
    "README.md",
    "agent.py",
    "conftest.py",
    "pyproject.toml",
    "test_agent.py",
    "resources/configstore.yaml",
    "resources/postgres/configstore.yaml",
    "sql/configuration.sql",
}


def written(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_it_writes_a_whole_project_into_a_new_folder(retune: Retune, tmp_path: Path) -> None:
    ended = retune("init", "shop/assistant", "--json")
    assert ended.code == 0, ended.err
    assert written(tmp_path / "shop/assistant") == set(ended.json["files"])
    assert set(ended.json["files"]) >= EXPECTED


def test_it_writes_nothing_where_one_of_its_files_is_there(retune: Retune, tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text("mine")
    ended = retune("init", ".")
    assert (ended.code, "agent.py" in ended.err) == (1, True)
    assert written(tmp_path) == {"agent.py"}
    assert (tmp_path / "agent.py").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(retune: Retune, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ended = retune("init", "file/project")
    assert (ended.code, "file/project" in ended.err) == (1, True)
