"""The two lines that a newcomer types next work in the folder in which they are shown."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from retunable.serve.hints import hints


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment in the current folder, not on PATH."""
    programs = tmp_path / "my venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "retune").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    return programs


def commands() -> list[str]:
    return [line.partition(":")[2].strip() for line in hints()]


def test_a_program_that_is_not_on_the_path_is_named_by_its_place(environment: Path) -> None:
    assert commands() == [
        "'my venv/bin/retune' set agent_role \"Expert Data Scientist\"",
        "'my venv/bin/retune' ask \"Who are you?\"",
    ]


def test_one_that_is_on_the_path_is_named_by_its_name(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(environment))
    assert commands()[1] == 'retune ask "Who are you?"'


def test_another_one_on_the_path_is_not_taken_for_it(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "retune").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commands()[1].startswith("'my venv/bin/retune'")
