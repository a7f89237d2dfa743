"""The commands for one machine and their options; what each does is in a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retunable.cli.command import command
from retunable.cli.exits import EXIT_CODES_TEXT, ExitCode
from retunable.cli.output import Output

commands = typer.Typer()


@command(commands)
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where; it may be new.")],
    *,
    output: Output,
) -> ExitCode:
    """Write a new project.

    It has an agent, its test, components for Dapr and the table for PostgreSQL.
    """
    from retunable.cli import new_project

    return new_project.init(folder, output=output)


@commands.command(epilog=EXIT_CODES_TEXT)
def sidecar(
    app_id: Annotated[str, typer.Option("--app-id", metavar="ID", help="Whose sidecar it is.")],
    grpc_port: Annotated[
        int, typer.Option("--grpc-port", metavar="PORT", help="Where Dapr's SDK calls; 0: any.")
    ] = 50001,
    http_port: Annotated[
        int, typer.Option("--http-port", metavar="PORT", help="Health and metadata; 0: any.")
    ] = 3500,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", metavar="FOLDER", help="Where its data lies.")
    ] = Path(".retunable"),
    resources_path: Annotated[
        Path | None,
        typer.Option("--resources-path", metavar="FOLDER", help="Dapr's component files."),
    ] = None,
) -> None:
    """Run an embedded sidecar alone, until Ctrl-C.

    It is for any program on Dapr's SDK on this machine.

    Its first line is JSON with its ports; give them to the program as DAPR_GRPC_PORT and
    DAPR_HTTP_PORT.
    """
    from retunable.sidecar.__main__ import main
    from retunable.sidecar.settings import SidecarSettings

    settings = SidecarSettings(
        app_id=app_id,
        data_dir=data_dir,
        resources_path=resources_path,
        grpc_port=grpc_port,
        http_port=http_port,
    )
    raise typer.Exit(main(settings.arguments))
