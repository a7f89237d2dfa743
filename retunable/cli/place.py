"""What a person named on the command line about an agent and its releases."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from retunable.cli.exits import ExitCode, Stop
from retunable.cli.where import Where

RELEASES_VARIABLE: Final = "RETUNABLE_RELEASES"
RELEASES_FILE: Final = Path(".retunable/releases.db")
DEFAULT_RELEASES: Final = f"sqlite:///{RELEASES_FILE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The agent with its configuration store, and the release store; None: left to us.

    ``unchecked`` leaves the running program unasked about what is published.
    """

    where: Where
    releases: str | None = None
    actor: str | None = None
    signing_key: str | None = None
    unchecked: bool = False

    @property
    def agent(self) -> str:
        """The agent's name; end the command where nobody named one."""
        if self.where.agent is None:
            raise Stop("name the agent", ExitCode.USAGE)
        return self.where.agent

    @property
    def releases_url(self) -> str:
        """Where the release store is: ``--releases``, the variable, or a file in this folder."""
        return self.releases or os.environ.get(RELEASES_VARIABLE) or DEFAULT_RELEASES

    @property
    def missing_releases(self) -> Path | None:
        """The file that a release store would be, where nobody has made it yet."""
        if self.releases_url == DEFAULT_RELEASES:
            return None if _is_there(RELEASES_FILE) else RELEASES_FILE
        from retunable.release.store_url import sqlite_release_file

        file = sqlite_release_file(self.releases_url)
        return None if file is None or _is_there(file) else file

    @property
    def has_releases(self) -> bool:
        """Whether a release store is known: one is named, or its file lies in this folder."""
        return self.releases_url != DEFAULT_RELEASES or _is_there(RELEASES_FILE)

    @property
    def environment(self) -> str:
        """The environment that is named, else that of the agent's running process."""
        if self.where.environment is not None or self.where.agent is None:
            return self.where.environment or "default"
        # Here, for this module is imported for --help too.
        from retunable.cli.target import find_target
        from retunable.serve.address import running_agents

        return find_target(self.where, running_agents()).environment

    def of(self, agent: str | None) -> Place:
        """The same place, for an agent."""
        return replace(self, where=replace(self.where, agent=agent))

    def at(self, environment: str | None) -> Place:
        """The same place, in an environment."""
        return replace(self, where=replace(self.where, environment=environment))


def _is_there(file: Path) -> bool:
    """Tell whether a file exists; end the command where this user may not know."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise Stop(
            f"{file} cannot be looked at ({error.strerror}); run this as the user who made it, or "
            "name another release store with --releases"
        ) from error
    return True
