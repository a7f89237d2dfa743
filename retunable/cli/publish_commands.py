"""The commands that publish and their options; what each does is in modules of its own.

Those modules are imported when a command runs, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from retunable.cli.command import command
from retunable.cli.exits import ExitCode
from retunable.cli.output import Output
from retunable.cli.release_options import (
    AgentArgument,
    ExpectOption,
    KeepOverridesOption,
    MessageOption,
    Publication,
    PublicationChecked,
    PublicationOf,
    UncheckedOption,
    VersionArgument,
    WaitIfAsked,
)

commands = typer.Typer()


@command(commands)
def activate(
    agent: AgentArgument,
    version: VersionArgument,
    message: MessageOption,
    expect: ExpectOption = None,
    keep_overrides: KeepOverridesOption = False,
    *,
    place: PublicationChecked,
    wait: WaitIfAsked,
    output: Output,
) -> ExitCode:
    """Make a version active: pointer, audit and publication."""
    from retunable.cli import activating
    from retunable.release.publishing.activation import Wish

    wish = Wish(version=version, reason=message, expect=expect, keep_overrides=keep_overrides)
    return activating.activate(place.of(agent), wish, wait=wait, output=output)


@command(commands)
def promote(
    agent: AgentArgument,
    version: VersionArgument,
    origin: Annotated[
        str, typer.Option("--from", metavar="ENV", help="The environment where it runs.")
    ],
    destination: Annotated[
        str, typer.Option("--to", metavar="ENV", help="The environment to activate it in.")
    ],
    message: MessageOption,
    expect: ExpectOption = None,
    keep_overrides: KeepOverridesOption = False,
    unchecked: UncheckedOption = False,
    *,
    place: Publication,
    wait: WaitIfAsked,
    output: Output,
) -> ExitCode:
    """Activate in one environment a version that runs in another."""
    from retunable.cli import activating
    from retunable.release.publishing.activation import Wish

    there = replace(place.of(agent).at(destination), unchecked=unchecked)
    wish = Wish(version=version, reason=message, expect=expect, keep_overrides=keep_overrides)
    return activating.promote(there, wish, origin=origin, wait=wait, output=output)


@command(commands)
def rollback(
    agent: AgentArgument,
    message: MessageOption,
    version: Annotated[
        int | None, typer.Argument(metavar="N", min=1, help="Else the version before.")
    ] = None,
    revoke: Annotated[
        bool,
        typer.Option("--revoke", help="Take the bad version from conversations that pinned it."),
    ] = False,
    as_new: Annotated[
        bool, typer.Option("--as-new", help="Save the old data as a new version.")
    ] = False,
    expect: ExpectOption = None,
    keep_overrides: KeepOverridesOption = False,
    *,
    place: PublicationChecked,
    wait: WaitIfAsked,
    output: Output,
) -> ExitCode:
    """Go back to the version before, or to a given one."""
    from retunable.cli import activating
    from retunable.release.publishing.operations import Return

    back = Return(
        reason=message,
        version=version,
        revoke=revoke,
        as_new=as_new,
        expect=expect,
        keep_overrides=keep_overrides,
    )
    return activating.rollback(place.of(agent), back, wait=wait, output=output)


@command(commands)
def override(
    agent: AgentArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A field's name or store key.")],
    message: MessageOption,
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="Without it, the override ends.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="How long it holds: 15m, 1h, 2d."),
    ] = None,
    *,
    place: PublicationChecked,
    wait: WaitIfAsked,
    output: Output,
) -> ExitCode:
    """Override one field of the active release for a time.

    It is signed and audited like a release.
    """
    from retunable.cli import activating

    return activating.override(
        place.of(agent), key, value, expires=expires, message=message, wait=wait, output=output
    )


@command(commands)
def status(
    check: Annotated[bool, typer.Option("--check", help="End with 3 where they differ.")] = False,
    *,
    place: PublicationOf,
    output: Output,
) -> ExitCode:
    """Show what is active, what is published, and how they differ."""
    from retunable.cli import publishing

    return publishing.status(place, check=check, output=output)


@command(commands)
def publish(
    message: MessageOption = "published again",
    *,
    place: PublicationOf,
    wait: WaitIfAsked,
    output: Output,
) -> ExitCode:
    """Publish what is active again; end what is pending."""
    from retunable.cli import publishing

    return publishing.publish(place, message=message, wait=wait, output=output)
