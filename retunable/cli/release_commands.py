"""The commands about versions and their history, and their options; what each does is in modules of its own.

Those modules are imported when a command runs, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from retunable.cli.command import command
from retunable.cli.exits import ExitCode
from retunable.cli.options import ResourcesOption
from retunable.cli.output import Output
from retunable.cli.release_options import (
    AgentArgument,
    BothStores,
    BothStoresBy,
    MessageOption,
    ReasonOption,
    Recorded,
    RecordedBy,
    RecordedThere,
    UncheckedOption,
    VersionArgument,
)
from retunable.cli.where import DEFAULT_RESOURCES

commands = typer.Typer()


@command(commands)
def versions(
    agent: AgentArgument,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")
    ] = 50,
    before: Annotated[
        int | None,
        typer.Option("--before", metavar="N", min=1, help="Only those below N: the next page."),
    ] = None,
    *,
    place: Recorded,
    output: Output,
) -> ExitCode:
    """List an agent's versions, newest first."""
    from retunable.cli import version_list

    return version_list.list_versions(place.of(agent), limit=limit, before=before, output=output)


@command(commands)
def show(
    agent: AgentArgument, version: VersionArgument, *, place: Recorded, output: Output
) -> ExitCode:
    """Show one version whole."""
    from retunable.cli import version_list

    return version_list.show(place.of(agent), version, output=output)


@command(commands)
def save(
    agent: AgentArgument,
    message: MessageOption,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="YAML or JSON, - for stdin; without it, what runs now."
        ),
    ] = None,
    unchecked: UncheckedOption = False,
    *,
    place: BothStoresBy,
    output: Output,
) -> ExitCode:
    """Save a new version, from a file or from what runs now.

    It is one that the program can take; what the latest one already is makes none.
    """
    from retunable.cli import saving

    return saving.save(
        replace(place.of(agent), unchecked=unchecked), file, message=message, output=output
    )


@command(commands)
def diff(
    agent: AgentArgument,
    old: Annotated[
        str,
        typer.Argument(metavar="A", help="A version, active, effective, an environment, a file."),
    ],
    new: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 where they differ.")
    ] = False,
    *,
    place: BothStores,
    output: Output,
) -> ExitCode:
    """Show what differs between any two configs.

    Field by field, and prompts word by word.
    """
    from retunable.cli import comparing

    return comparing.compare(place.of(agent), old, new, exit_code=exit_code, output=output)


@command(commands)
def audit(
    agent: Annotated[str | None, typer.Argument(metavar="AGENT", help="Only this agent's.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="2026-11-21, or 2h ago.")
    ] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="NAME", help="Who it was, or was claimed.")
    ] = None,
    field: Annotated[
        str | None, typer.Option("--field", metavar="NAME", help="Only what changed this field.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that nothing was changed or taken away.")
    ] = False,
    *,
    place: BothStores,
    output: Output,
) -> ExitCode:
    """Show who changed what, when and why."""
    from retunable.cli import auditing

    there = place.of(agent)
    if verify:
        return auditing.verify_audit(there, output=output)
    return auditing.show_audit(there, since=since, actor=actor, field=field, output=output)


@command(commands)
def at(
    agent: AgentArgument,
    time: Annotated[str, typer.Argument(metavar="TIME", help="2026-11-21T15:00, or 2h ago.")],
    *,
    place: RecordedThere,
    output: Output,
) -> ExitCode:
    """Show what was active at a moment."""
    from retunable.cli import auditing

    return auditing.active_at(place.of(agent), time, output=output)


@command(commands)
def approve(
    agent: AgentArgument,
    version: VersionArgument,
    message: ReasonOption = "",
    *,
    place: RecordedBy,
    output: Output,
) -> ExitCode:
    """Approve a version for an environment.

    Who approves is the person who is logged in.
    """
    from retunable.cli import auditing

    return auditing.approve(place.of(agent), version, message=message, output=output)


@command(commands)
def policy(
    agent: AgentArgument,
    require_approval: Annotated[
        int | None,
        typer.Option(
            "--require-approval",
            metavar="N",
            min=0,
            max=100,
            help="So many people, the author apart.",
        ),
    ] = None,
    message: ReasonOption = "",
    *,
    place: RecordedBy,
    output: Output,
) -> ExitCode:
    """Show or set what an environment asks of a version.

    It is asked before the version becomes active there.
    """
    from retunable.cli import policies

    there = place.of(agent)
    if require_approval is None:
        return policies.show_policy(there, output=output)
    return policies.set_policy(
        there, require_approval=require_approval, message=message, output=output
    )


@command(commands)
def migrate(*, place: Recorded, output: Output) -> ExitCode:
    """Create or upgrade the release store's tables.

    Their owner does it, and what stands is kept.
    """
    from retunable.cli import migrating

    return migrating.migrate(place, output=output)


@command(commands)
def key(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="secretstore/key or file:release.pem")
    ],
    resources_path: ResourcesOption = DEFAULT_RESOURCES,
    *,
    output: Output,
) -> ExitCode:
    """Show the public key of a signing key, for a program's trust=."""
    from retunable.cli import signing_keys

    return signing_keys.show_key(name, resources=resources_path, output=output)
