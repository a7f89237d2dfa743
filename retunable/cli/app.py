"""The command line as a whole: which groups of commands there are, and how one call of it ends."""

from __future__ import annotations

import contextlib
import io
from typing import Annotated

import typer

from retunable.cli import (
    canary_commands,
    config_commands,
    control_commands,
    flag_commands,
    local_commands,
    publish_commands,
    release_commands,
    run_commands,
    sync_commands,
)
from retunable.cli.exits import EXIT_CODES_TEXT, ExitCode, Stop
from retunable.cli.output import Output
from retunable.config.package import PACKAGE_VERSION


def _show_version(asked: bool) -> None:
    if asked:
        print(f"retunable {PACKAGE_VERSION}")
        raise typer.Exit


app = typer.Typer(
    name="retune",
    epilog=EXIT_CODES_TEXT,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(config_commands.commands)
app.add_typer(run_commands.commands)
app.add_typer(local_commands.commands)
app.add_typer(release_commands.commands)
app.add_typer(publish_commands.commands)
app.add_typer(flag_commands.commands)
app.add_typer(sync_commands.commands)
app.add_typer(canary_commands.commands)
app.add_typer(control_commands.commands)


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the package's version.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    """Retune a running agent: change its configuration in the store, and see it taken."""


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    if arguments[:1] == ["--json"] and "--" not in arguments:
        arguments = [*arguments[1:], "--json"]  # an option of each command, said before its name
    said = io.StringIO()
    try:
        if "--json" not in arguments:
            app(arguments, prog_name="retune")
        else:
            with contextlib.redirect_stderr(said):
                app(arguments, prog_name="retune")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else ExitCode.ERROR
        if said.getvalue() and code == ExitCode.USAGE:
            message = said.getvalue().strip().splitlines()[-1].removeprefix("Error: ")
            Output(as_json=True).error(Stop(message, ExitCode.USAGE))
        return code
    finally:
        print(end="", flush=True)  # nothing at all where standard output is closed
    return ExitCode.OK
