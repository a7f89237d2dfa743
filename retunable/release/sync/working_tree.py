"""A folder of agents in a git repository: ``DIR/<agent>/agent.yaml``, and the commit of each.

The only module that runs git, which has to be installed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from retunable.errors import ConfigurationError
from retunable.release.config_files import AGENT_FILE, FileFault, read_config

SECONDS: Final = 30
_SEPARATOR: Final = "\x1f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One agent as git has it: the last commit that touched it, who wrote it and what they said."""

    agent: str
    config: Mapping[str, Any]
    folder: Path
    commit: str
    author: str
    subject: str


def read_tree(folder: Path) -> tuple[Source, ...] | tuple[FileFault, ...]:
    """Return every agent of a folder, or everything that is wrong with it.

    Raises:
        ConfigurationError: it is no folder of a git repository.
    """
    files = sorted(folder.glob(f"*/{AGENT_FILE}"))
    if not files:
        raise ConfigurationError(f"{folder} has no agent: put one into {folder}/NAME/{AGENT_FILE}")
    found = [_source(file) for file in files]
    faults = [fault for fault in found if isinstance(fault, FileFault)]
    sources = [source for source in found if isinstance(source, Source)]
    faults += _named_twice(sources)
    return tuple(faults) if faults else tuple(sources)


def _source(file: Path) -> Source | FileFault:
    read = read_config(file)
    if isinstance(read, FileFault):
        return read
    folder = file.parent
    if changed := _git(folder, "status", "--porcelain", "--", "."):
        return FileFault(file, f"has changes that no commit has yet: {changed.splitlines()[0]}")
    form = _SEPARATOR.join(("%H", "%an <%ae>", "%s"))
    said = _git(folder, "log", "-1", f"--format={form}", "--", ".")
    commit, author, subject = said.split(_SEPARATOR)
    return Source(
        agent=read.agent or folder.name,
        config=read.config,
        folder=folder,
        commit=commit,
        author=author,
        subject=subject,
    )


def _named_twice(sources: list[Source]) -> list[FileFault]:
    names = [source.agent for source in sources]
    return [
        FileFault(source.folder / AGENT_FILE, f"another folder has {source.agent!r} too", None)
        for source in sources
        if names.count(source.agent) > 1
    ]


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "core.quotepath=off", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"git cannot be run in {folder}: {error}") from error
    said = done.stdout.decode(errors="replace").strip()
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()
        raise ConfigurationError(f"{folder} is in no git repository that can be read: {reason}")
    return said
