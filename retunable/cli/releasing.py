"""Opens what the commands about releases work with: the release store, and the site of an agent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Literal, assert_never

from retunable.cli.agent_client import REPORT_SECONDS
from retunable.cli.exits import Stop
from retunable.cli.place import Place
from retunable.cli.program_check import Asks, ProgramCheck, RunningProgram
from retunable.cli.target import Target, find_store, find_target
from retunable.release.publishing.site import ControlPlane, Site
from retunable.release.store.release_store import open_release_store
from retunable.release.store_url import sqlite_release_url
from retunable.serve.address import running_agents

if TYPE_CHECKING:
    from retunable.release.signing import SigningKey
    from retunable.release.store.release_store import ReleaseStore

KEY_VARIABLE: Final = "RETUNABLE_SIGNING_KEY"

Missing = Literal["refuse", "empty", "make"]
"""What to do where nobody has made the release store yet; ``empty`` looks at one that is thrown away."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything open: both stores, the site, and the agent's running processes.

    ``program`` is asked before anything is published; None where nobody is.
    """

    plane: ControlPlane
    site: Site
    target: Target
    program: RunningProgram | None = None

    @property
    def patience_seconds(self) -> float:
        """How long a process may keep what is published waiting for its answer."""
        return REPORT_SECONDS if self.program is None else self.program.patience_seconds

    @property
    def checked(self) -> ProgramCheck | None:
        """What the program said of what is published; None where nothing was to be asked."""
        return None if self.program is None else self.program.check

    @property
    def check_lines(self) -> tuple[str, ...]:
        """What a person is told of that."""
        return () if self.checked is None else self.checked.lines


@contextmanager
def release_store(place: Place, *, missing: Missing = "refuse") -> Iterator[ReleaseStore]:
    """Open the release store that the place names; ``missing`` is for a file that is not there.

    A look must not make one: from then on ``retune set`` would go through it.
    """
    file = place.missing_releases
    with ExitStack() as stack:
        url = place.releases_url
        if file is not None:
            match missing:
                case "refuse":
                    raise _no_release_store(file)
                case "empty":
                    folder = stack.enter_context(TemporaryDirectory())
                    url = sqlite_release_url(Path(folder) / "releases.db")
                case "make":
                    pass  # opening it does
                case _:
                    assert_never(missing)
        yield stack.enter_context(open_release_store(url))


def _no_release_store(file: Path) -> Stop:
    return Stop(
        f"there is no release store at {file}: run this in the folder where the agent runs, or "
        "name another one with --releases; the first retune save makes one"
    )


@contextmanager
def release_desk(
    place: Place, *, missing: Missing = "refuse", asks: Asks | None = None
) -> Iterator[Desk]:
    """Open the release store, and the configuration store of the agent in its environment.

    ``missing`` is as for ``release_store``. ``asks`` says who of the running program must take what
    is published; None asks nobody.
    """
    from retunable.release.opening import open_publisher

    target = find_target(place.where, running_agents())
    publisher = open_publisher(find_store(place.where, target))
    try:
        with release_store(place, missing=missing) as store:
            program = running_program(place, target, asks) if asks else None
            plane = ControlPlane(
                store=store,
                publisher=publisher,
                key=signing_key(place),
                claimed=place.actor,
                program=program,
            )
            yield Desk(plane, site_of(place, target), target, program)
    finally:
        publisher.close()


def running_program(place: Place, target: Target, asks: Asks) -> RunningProgram:
    """Return the agent's program, as its processes of this folder; unasked where that was said."""
    return RunningProgram(target.replicas, asks, unchecked=place.unchecked)


def site_of(place: Place, target: Target) -> Site:
    """Return where an agent is published: as its running process says, or as its name gives."""
    return Site(
        agent=target.agent or place.agent,
        environment=target.environment,
        prefix=target.prefix,
        document_key=target.document_key or "",
    )


def signing_key(place: Place) -> SigningKey | None:
    """Return the key that is named, by option or variable; None where none is."""
    name = place.signing_key or os.environ.get(KEY_VARIABLE)
    if not name:
        return None
    from retunable.cli.signing_keys import signing_key as key_named

    return key_named(name, resources=place.where.resources)
