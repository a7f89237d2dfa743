"""``retune init``: a project to begin with, from the files that come with the package.

In a wheel they lie together in ``retunable/starter``; in a checkout each lies where it is edited.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import retunable
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output

SHARED: Final = ("agent.py", "resources", "sql")
"""What a checkout has beside its folder ``starter``; the wheel's build puts both together."""
SHOWN: Final = 3


def init(folder: Path, *, output: Output) -> ExitCode:
    """Write a new project into a folder, or nothing at all where a file of it is there already."""
    files = dict(_starter_files())
    there = sorted(str(name) for name in files if (folder / name).exists())
    if there:
        shown = ", ".join(there[:SHOWN]) + (" …" if len(there) > SHOWN else "")
        raise Stop(f"{folder} has {shown} already; nothing was written, name another folder")
    try:
        for name, source in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    except OSError as error:
        raise Stop(f"cannot write {error.filename}: {error.strerror}") from error
    output.line(f"{folder}: {len(files)} files. Next:")
    output.line(f"  cd {folder} && python agent.py")
    output.result({"folder": str(folder), "files": sorted(map(str, files))})
    return ExitCode.OK


def _starter_files() -> Iterator[tuple[Path, Path]]:
    """Yield each file's path in the project, and where it is copied from."""
    package = Path(retunable.__file__).parent
    packed = package / "starter"
    if packed.is_dir():
        yield from _under(packed, packed)
        return
    checkout = package.parent
    yield from _under(checkout / "starter", checkout / "starter")
    for name in SHARED:
        yield from _under(checkout / name, checkout)


def _under(place: Path, root: Path) -> Iterator[tuple[Path, Path]]:
    found = [place] if place.is_file() else sorted(place.rglob("*"))
    for file in found:
        if file.is_file() and "__pycache__" not in file.parts:
            yield file.relative_to(root), file
