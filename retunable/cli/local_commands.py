"""The commands for one machine and their options; what each does is in a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retunable.cli import options as o
from retunable.cli.ending import finish
from retunable.cli.exits import EXIT_CODES_TEXT, ExitCode
from retunable.cli.output import Output

commands = typer.Typer()


@commands.command(epilog=EXIT_CODES_TEXT)
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where; it may be new.")],
    json: o.JsonOption = False,
) -> None:
    """Write a new project: an agent, its test, components for Dapr, the table for PostgreSQL."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import new_project

        return new_project.init(folder, output=output)

    finish(json, command)
