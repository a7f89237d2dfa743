"""The commands about folders of config files, and their options; ``syncing`` does what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retunable.cli.command import command
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.release_options import AgentArgument, PublicationChecked, RecordedThere

commands = typer.Typer()

FolderArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="It holds NAME/agent.yaml for each agent.")
]


@command(commands)
def sync(
    folder: FolderArgument,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; end with 3 where anything differs.")
    ] = False,
    activate: Annotated[
        bool, typer.Option("--activate", help="Activate what git has in --env.")
    ] = False,
    *,
    place: PublicationChecked,
    output: Output,
) -> ExitCode:
    """Make a version of each agent that git has changed."""
    if check and activate:
        raise Stop("--check writes nothing: leave out --activate", ExitCode.USAGE)
    from retunable.cli import syncing

    if check:
        return syncing.check(place, folder, output=output)
    return syncing.sync(place, folder, activating=activate, output=output)


@command(commands)
def export(
    agent: AgentArgument,
    folder: FolderArgument,
    version: Annotated[
        int | None,
        typer.Option("--version", metavar="N", min=1, help="Else what is active, or the latest."),
    ] = None,
    *,
    place: RecordedThere,
    output: Output,
) -> ExitCode:
    """Write a version as files.

    They are agent.yaml and its long texts as Markdown beside it.
    """
    from retunable.cli import syncing

    return syncing.export(place.of(agent), folder, version, output=output)
