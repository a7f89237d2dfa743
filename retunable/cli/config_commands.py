"""The commands about configuration and their options; what each does is in a module of its own.

Those modules are imported when a command runs, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from retunable.cli.command import command
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.options import AgentAndStore, RunningAgent, Wait
from retunable.cli.output import Output
from retunable.cli.release_options import ReasonOption, RecordedWrite

commands = typer.Typer()

FieldArgument = Annotated[
    str | None, typer.Argument(metavar="KEY", help="A field's name or store key.")
]


@command(commands, "set")
def set_(
    key: FieldArgument = None,
    value: Annotated[str | None, typer.Argument(metavar="VALUE", help="Its new value.")] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="A JSON object of fields, - for stdin."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Let a plain batch replace an active release.")
    ] = False,
    message: ReasonOption = "",
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Sign it without asking the running program.")
    ] = False,
    *,
    place: RecordedWrite,
    wait: Wait,
    output: Output,
) -> ExitCode:
    """Set one field, or many from a file, and wait for the agent."""
    if (file is None) == (key is None) or (key is None) != (value is None):
        raise Stop("give either KEY and VALUE, or --file FILE", ExitCode.USAGE)
    from retunable.cli import setting

    if file is not None:
        return setting.set_document(
            place, file, force=force, reason=message, wait=wait, output=output
        )
    return setting.set_field(
        replace(place, unchecked=unchecked),
        key or "",
        value or "",
        reason=message,
        wait=wait,
        output=output,
    )


@command(commands)
def unset(
    keys: Annotated[
        list[str], typer.Argument(metavar="KEY", help="Names or store keys of fields.")
    ],
    message: ReasonOption = "",
    *,
    place: RecordedWrite,
    wait: Wait,
    output: Output,
) -> ExitCode:
    """Take fields out of the store."""
    from retunable.cli import unsetting

    return unsetting.unset(place, keys, reason=message, wait=wait, output=output)


@command(commands)
def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    message: ReasonOption = "",
    *,
    place: RecordedWrite,
    wait: Wait,
    output: Output,
) -> ExitCode:
    """Remove everything that was set: the program's own values again."""
    from retunable.cli import unsetting

    return unsetting.reset(place, confirmed=yes, reason=message, wait=wait, output=output)


@command(commands)
def get(
    key: FieldArgument = None,
    *,
    where: AgentAndStore,
    output: Output,
) -> ExitCode:
    """Show what the store holds and what the agent runs on."""
    from retunable.cli import getting

    return getting.get(where, key, output=output)


@command(commands)
def watch(*, where: RunningAgent, output: Output) -> ExitCode:
    """Follow the running agent's changes until Ctrl-C."""
    from retunable.cli import watching

    return watching.watch(where, output=output)


@command(commands)
def doctor(
    sidecar: Annotated[
        str | None,
        typer.Option("--sidecar", metavar="URL", help="daprd's HTTP address; else the agent says."),
    ] = None,
    *,
    where: AgentAndStore,
    output: Output,
) -> ExitCode:
    """Find what keeps changes from the agent, with the mend."""
    from retunable.cli.doctor.examination import examine

    return examine(where, sidecar=sidecar, output=output)
