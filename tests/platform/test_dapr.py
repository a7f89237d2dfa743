"""Where Dapr comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.dapr import DaprBinaries, DaprMissing, ensure_dapr, find_dapr

PROGRAMS = ("daprd", "placement", "scheduler")


def programs_in(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Dapr and without Go; returns its home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def test_a_machine_without_dapr_and_go_is_told_what_to_install(bare_machine: Path) -> None:
    with pytest.raises(DaprMissing, match="dapr init --slim"):
        ensure_dapr()


@pytest.mark.parametrize("folder", ["bin", ".dapr/bin", "cache/retunable/dapr-1.18.2"])
def test_dapr_is_found_where_it_is_usually_put(bare_machine: Path, folder: str) -> None:
    programs = programs_in(bare_machine / folder, *PROGRAMS)
    assert find_dapr() == DaprBinaries(*(programs / name for name in PROGRAMS))


def test_a_folder_without_a_scheduler_is_passed_over(bare_machine: Path) -> None:
    programs_in(bare_machine / "bin", "daprd", "placement")
    complete = programs_in(bare_machine / ".dapr/bin", *PROGRAMS)
    found = find_dapr()
    assert found is not None
    assert found.daprd.parent == complete
