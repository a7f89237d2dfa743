"""``retune canary …`` and its options; what each does is in modules of its own.

Those modules are imported when a command runs, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retunable.cli.command import command
from retunable.cli.exits import ExitCode
from retunable.cli.output import Output
from retunable.cli.release_options import (
    AgentArgument,
    MessageOption,
    PublicationChecked,
    PublicationOf,
    VersionArgument,
)

commands = typer.Typer(
    name="canary",
    help="A version for some users first: it grows or goes back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@command(commands)
def start(
    agent: AgentArgument,
    version: VersionArgument,
    message: MessageOption,
    stages: Annotated[
        str, typer.Option("--stages", metavar="PERCENTS", help="Shares of the users, growing.")
    ] = "1,5,25,50",
    window: Annotated[
        str | None,
        typer.Option(
            "--window", metavar="TIME", help="How long after its first run a user is watched: 10m."
        ),
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option("--deadline", metavar="TIME", help="After it nothing grows any more: 7d."),
    ] = None,
    control: Annotated[
        float | None,
        typer.Option(
            "--control", metavar="PERCENT", help="A wider control beside the first stage."
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            help="What is judged and how: YAML or JSON. Judging costly needs "
            "DurableAgent(prices=…).",
        ),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also where it cannot finish before its deadline.")
    ] = False,
    *,
    place: PublicationChecked,
    output: Output,
) -> ExitCode:
    """Give a version to the first share of users.

    From then on retune control judges it.
    """
    from retunable.cli import canary_start

    wanted = canary_start.Wanted(
        version=version,
        message=message,
        stages=stages,
        window=window,
        deadline=deadline,
        control_percent=control,
        policy=policy,
        anyway=anyway,
    )
    return canary_start.start(place.of(agent), wanted, output=output)


@command(commands)
def status(
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Show it again at each change, until it is over; with --json a line each.",
        ),
    ] = False,
    *,
    place: PublicationOf,
    output: Output,
) -> ExitCode:
    """Show how a canary does, as of now."""
    from retunable.cli import canary_status

    return canary_status.status(place, watch=watch, output=output)


@command(commands)
def promote(
    agent: AgentArgument, message: MessageOption, *, place: PublicationChecked, output: Output
) -> ExitCode:
    """Give the canary to everybody now, whatever the evidence says."""
    from retunable.cli import canary_moves

    return canary_moves.move(place.of(agent), "promoted", message=message, output=output)


@command(commands)
def pause(message: MessageOption, *, place: PublicationOf, output: Output) -> ExitCode:
    """Let it grow no further; it still goes back by itself."""
    from retunable.cli import canary_moves

    return canary_moves.move(place, "paused", message=message, output=output)


@command(commands)
def resume(message: MessageOption, *, place: PublicationOf, output: Output) -> ExitCode:
    """Let it grow again."""
    from retunable.cli import canary_moves

    return canary_moves.move(place, "running", message=message, output=output)


@command(commands)
def abort(message: MessageOption, *, place: PublicationOf, output: Output) -> ExitCode:
    """Take the canary back from everybody now.

    It needs the configuration store alone.
    """
    from retunable.cli import canary_moves

    return canary_moves.abort(place, message=message, output=output)
