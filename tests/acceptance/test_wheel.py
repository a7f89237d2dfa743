"""The wheel alone, in a Python that has never seen the checkout: `retune init`, and its test passes."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from dev.resources import CHECKOUT

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(180)]

NAMING = ("DAPR_GRPC_PORT", "DAPR_HTTP_PORT", "DAPR_GRPC_ENDPOINT", "PYTHONPATH")


def run(*words: str | Path, cwd: Path) -> str:
    """Run a command, which must work; returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in NAMING}
    ended = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, f"{words}:\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A new Python with the built wheel, which borrows from this one what the wheel depends on."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=CHECKOUT)
    [wheel] = tmp_path.glob("*.whl")
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    new = home / "bin" / "python"
    install = ("-m", "pip", "--python", new, "install", "--no-deps", "--no-index", "--quiet")
    run(sys.executable, *install, wheel, cwd=tmp_path)
    [packages] = home.glob("lib/python*/site-packages")
    # A path in a .pth file brings packages, but not that folder's own .pth file of the checkout.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return new


def test_a_new_project_from_the_wheel_passes_its_own_test(python: Path, tmp_path: Path) -> None:
    where = "import retunable; print(retunable.__file__)"
    assert run(python, "-c", where, cwd=tmp_path).startswith(str(tmp_path / "venv"))
    run(python.with_name("retune"), "init", "project", cwd=tmp_path)
    said = run(python, "-m", "pytest", "-q", cwd=tmp_path / "project")
    assert "1 passed" in said
    assert (tmp_path / "project" / "sql" / "configuration.sql").is_file()
