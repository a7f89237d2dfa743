"""A data folder that this user may not write: a start is refused at once, and says what to mend."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retunable.sidecar.configuration import ConfigurationFile
from retunable.sidecar.files import DataFiles, configuration_file
from tests.as_a_user import run_as_a_user
from tests.integration.sidecar.conftest import STOP_SECONDS, StartSidecar

pytestmark = pytest.mark.embedded

NOBODY = 65534

WRITE = """
import sys
from pathlib import Path
from retunable.errors import DataUnusable
from retunable.sidecar.configuration import ConfigurationFile
try:
    ConfigurationFile(Path(sys.argv[1])).write({"agent_role": "Guide"})
except DataUnusable as error:
    print(error)
"""


def first_line_of(*arguments: str) -> str:
    """Run Python as one whom modes bind; returns the first line that it said."""
    ran = run_as_a_user(*arguments)
    assert ran.stdout, ran.stderr
    return ran.stdout.splitlines()[0]


def refusal_of_a_start(data_dir: Path) -> str:
    """Start a sidecar as one whom modes bind; returns why it refused."""
    line = first_line_of("-m", "retunable.sidecar", "--app-id=shop", f"--data-dir={data_dir}")
    told: dict[str, Any] = json.loads(line)
    assert told["ready"] is False
    return str(told["error"])


def all_of_it(data_dir: Path) -> None:
    for path in data_dir.rglob("*"):
        path.chmod(0o500 if path.is_dir() else 0o400)
    data_dir.chmod(0o500)


def shared_configuration(data_dir: Path) -> None:
    configuration_file(data_dir).chmod(0o400)


def state_of_the_app(data_dir: Path) -> None:
    DataFiles(data_dir, "shop").state.chmod(0o400)


def test_an_empty_folder_that_is_read_only_is_named(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o500)
    said = refusal_of_a_start(data_dir)
    assert said.startswith(str(data_dir))
    assert "cannot be written (Permission denied)" in said
    assert "--data-dir" in said


@pytest.mark.parametrize(
    ("made_read_only", "name"),
    [
        (all_of_it, "lock"),
        (shared_configuration, "configuration.db"),
        (state_of_the_app, "state.db"),
    ],
)
def test_data_that_became_read_only_is_named_at_the_next_start_and_kept(
    made_read_only: Callable[[Path], None],
    name: str,
    data_dir: Path,
    start_sidecar: StartSidecar,
) -> None:
    start_sidecar().stop(within_seconds=STOP_SECONDS)
    file = ConfigurationFile(configuration_file(data_dir))
    file.write({"agent_role": "Guide"})
    made_read_only(data_dir)
    said = refusal_of_a_start(data_dir)
    assert f"/{name} cannot be written (" in said
    assert "make it and its folder writable" in said
    for path in (data_dir, *data_dir.rglob("*")):
        path.chmod(0o700)
    start_sidecar()
    assert file.read(["agent_role"])


def test_whoever_writes_configuration_to_a_read_only_folder_is_told(
    data_dir: Path, store: ConfigurationFile
) -> None:
    store.write({"agent_role": "before"})
    all_of_it(data_dir)
    said = first_line_of("-c", WRITE, str(configuration_file(data_dir)))
    assert "configuration.db cannot be used" in said
    assert "make the file and its folder writable" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_a_file_of_another_user_that_everybody_may_read_is_refused_by_name(
    data_dir: Path, start_sidecar: StartSidecar
) -> None:
    start_sidecar().stop(within_seconds=STOP_SECONDS)
    state = DataFiles(data_dir, "shop").state
    state.chmod(0o666)
    os.chown(state, NOBODY, NOBODY)
    assert "state.db cannot be written (Operation not permitted)" in refusal_of_a_start(data_dir)
