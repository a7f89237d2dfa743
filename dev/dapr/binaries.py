"""Where daprd, placement and scheduler come from: found, or built once with Go from their module."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dev.caches import cache_directory
from dev.processes import ChildProcess, Launch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAPR_VERSION = "1.18.2"
MODULE = f"github.com/dapr/dapr@v{DAPR_VERSION}"
BUILD_SECONDS = 3_000.0  # 5 minutes on two cores; more where the machine is shared
PROGRESS_SECONDS = 15.0

HOW_TO_INSTALL = f"""\
Dapr {DAPR_VERSION} is not on this machine, and Go, which could build it, is not either. One of:
  - install the Dapr CLI and run `dapr init --slim` (it fills ~/.dapr/bin), or
  - put daprd, placement and scheduler of one Dapr release into one folder on PATH, or
  - install Go 1.26.5 or later: they are then built once, in about 5 minutes."""


class DaprMissing(RuntimeError):
    """Dapr is neither there nor can it be built; the message says what to install."""


@dataclass(frozen=True)
class DaprBinaries:
    daprd: Path
    placement: Path
    scheduler: Path

    @classmethod
    def in_folder(cls, folder: Path) -> DaprBinaries | None:
        """Return the three programs of a folder, or None when one is missing.

        All three or none: a daprd beside a control plane of another release is a puzzle.
        """
        programs = (folder / "daprd", folder / "placement", folder / "scheduler")
        if all(os.access(program, os.X_OK) and program.is_file() for program in programs):
            return cls(*programs)
        return None


def find_dapr() -> DaprBinaries | None:
    """Look on PATH, in `~/.dapr/bin`, then where `ensure_dapr` puts what it built."""
    for folder in _folders():
        if found := DaprBinaries.in_folder(folder):
            return found
    return None


def ensure_dapr(*, say: Callable[[str], None] = print) -> DaprBinaries:
    """Return Dapr, built first if need be. Raises DaprMissing where there is no Go."""
    found = find_dapr()
    if found is not None:
        return found
    if shutil.which("go") is None:
        raise DaprMissing(HOW_TO_INSTALL)
    with (cache_directory() / "dapr.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second caller waits here and then finds it built
        return find_dapr() or _build(say)


def _folders() -> Iterator[Path]:
    on_path = shutil.which("daprd")
    if on_path is not None:
        yield Path(on_path).parent
    yield Path.home() / ".dapr" / "bin"
    yield _built_folder()


def _built_folder() -> Path:
    return cache_directory() / f"dapr-{DAPR_VERSION}"


def _build(say: Callable[[str], None]) -> DaprBinaries:
    say(f"Building Dapr {DAPR_VERSION} with Go: once, about 5 minutes on two cores.")
    source = _download()
    with tempfile.TemporaryDirectory(dir=cache_directory(), prefix="dapr-build-") as folder:
        programs, log = Path(folder) / "bin", Path(folder) / "build.log"
        programs.mkdir()
        _compile(source, programs, log, say)
        programs.rename(_built_folder())
    built = DaprBinaries.in_folder(_built_folder())
    if built is None:
        raise DaprMissing(f"Go built no complete Dapr in {_built_folder()}; remove that folder")
    say(f"Dapr {DAPR_VERSION} is in {_built_folder()}.")
    return built


def _download() -> Path:
    """Fetch the module through Go's own proxy settings and return its folder."""
    answer = subprocess.run(
        ["go", "mod", "download", "-json", MODULE],  # noqa: S607 - the developer's Go
        check=False,
        stdout=subprocess.PIPE,
        text=True,
        cwd=cache_directory(),  # outside any module
    )
    facts = json.loads(answer.stdout or "{}")
    if answer.returncode != 0 or "Dir" not in facts:
        raise DaprMissing(f"Go could not download {MODULE}: {facts.get('Error', 'see above')}")
    return Path(facts["Dir"])


def _compile(source: Path, programs: Path, log: Path, say: Callable[[str], None]) -> None:
    go = shutil.which("go") or "go"
    flags = ("-v", "-tags", "stablecomponents", "-trimpath", "-ldflags", "-s -w")
    targets = ("./cmd/daprd", "./cmd/placement", "./cmd/scheduler")
    command = (go, "build", "-C", source, *flags, "-o", f"{programs}/", *targets)
    compiler = ChildProcess(Launch(name="go build", command=command, log=log))
    began = time.monotonic()
    while compiler.wait(within_seconds=PROGRESS_SECONDS) is None:
        seconds = time.monotonic() - began
        packages = len(log.read_text(errors="replace").splitlines())
        say(f"  {seconds:4.0f} s, {packages} packages compiled")
        if seconds > BUILD_SECONDS:
            compiler.terminate()
            raise DaprMissing(f"the build of Dapr took longer than {BUILD_SECONDS:g} s")
    if compiler.exit_code != 0:
        raise DaprMissing(f"Go could not build Dapr:\n{compiler.last_words()}")
