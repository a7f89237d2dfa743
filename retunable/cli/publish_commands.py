"""The commands that publish and their options; what each does is in modules of its own.

Those modules are imported when a command runs, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from retunable.cli import options as o
from retunable.cli.ending import finish
from retunable.cli.exits import EXIT_CODES_TEXT, ExitCode
from retunable.cli.output import Output
from retunable.cli.where import Where

if TYPE_CHECKING:
    from retunable.cli.releasing import Place

commands = typer.Typer()


@commands.command(epilog=EXIT_CODES_TEXT)
def activate(
    agent: o.AgentArgument,
    version: o.VersionArgument,
    message: o.MessageOption,
    expect: o.ExpectOption = None,
    keep_overrides: o.KeepOverridesOption = False,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    releases: o.ReleasesOption = None,
    actor: o.ActorOption = None,
    signing_key: o.KeyOption = None,
    wait: o.WaitOption = False,
    timeout: o.TimeoutOption = o.DEFAULT_TIMEOUT,
    json: o.JsonOption = False,
) -> None:
    """Make a version active: pointer, audit and publication."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import activating
        from retunable.release.publishing.activation import Wish

        place = _place(
            Where(
                agent=agent,
                environment=env,
                prefix=prefix,
                store=store,
                resources=resources_path,
                component=component,
            ),
            releases,
            actor,
            signing_key,
        )
        wish = Wish(version=version, reason=message, expect=expect, keep_overrides=keep_overrides)
        return activating.activate(place, wish, wait=timeout if wait else None, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def promote(
    agent: o.AgentArgument,
    version: o.VersionArgument,
    origin: Annotated[
        str, typer.Option("--from", metavar="ENV", help="The environment where it runs.")
    ],
    destination: Annotated[
        str, typer.Option("--to", metavar="ENV", help="The environment to activate it in.")
    ],
    message: o.MessageOption,
    expect: o.ExpectOption = None,
    keep_overrides: o.KeepOverridesOption = False,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    releases: o.ReleasesOption = None,
    actor: o.ActorOption = None,
    signing_key: o.KeyOption = None,
    wait: o.WaitOption = False,
    timeout: o.TimeoutOption = o.DEFAULT_TIMEOUT,
    json: o.JsonOption = False,
) -> None:
    """Activate in one environment a version that runs in another."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import activating
        from retunable.release.publishing.activation import Wish

        place = _place(
            Where(
                agent=agent,
                environment=destination,
                prefix=prefix,
                store=store,
                resources=resources_path,
                component=component,
            ),
            releases,
            actor,
            signing_key,
        )
        wish = Wish(version=version, reason=message, expect=expect, keep_overrides=keep_overrides)
        return activating.promote(
            place, wish, origin=origin, wait=timeout if wait else None, output=output
        )

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def rollback(
    agent: o.AgentArgument,
    message: o.MessageOption,
    version: Annotated[
        int | None, typer.Argument(metavar="[N]", min=1, help="Else the version before.")
    ] = None,
    revoke: Annotated[
        bool,
        typer.Option("--revoke", help="Take the bad version from conversations that pinned it."),
    ] = False,
    as_new: Annotated[
        bool, typer.Option("--as-new", help="Save the old data as a new version.")
    ] = False,
    expect: o.ExpectOption = None,
    keep_overrides: o.KeepOverridesOption = False,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    releases: o.ReleasesOption = None,
    actor: o.ActorOption = None,
    signing_key: o.KeyOption = None,
    wait: o.WaitOption = False,
    timeout: o.TimeoutOption = o.DEFAULT_TIMEOUT,
    json: o.JsonOption = False,
) -> None:
    """Go back to the version before, or to a given one."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import activating
        from retunable.release.publishing.operations import Return

        place = _place(
            Where(
                agent=agent,
                environment=env,
                prefix=prefix,
                store=store,
                resources=resources_path,
                component=component,
            ),
            releases,
            actor,
            signing_key,
        )
        back = Return(
            reason=message,
            version=version,
            revoke=revoke,
            as_new=as_new,
            expect=expect,
            keep_overrides=keep_overrides,
        )
        return activating.rollback(place, back, wait=timeout if wait else None, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def override(
    agent: o.AgentArgument,
    key: Annotated[str, typer.Argument(help="A field's name or store key.")],
    message: o.MessageOption,
    value: Annotated[
        str | None, typer.Argument(metavar="[VALUE]", help="Without it, the override ends.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="How long it holds: 15m, 1h, 2d."),
    ] = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    releases: o.ReleasesOption = None,
    actor: o.ActorOption = None,
    signing_key: o.KeyOption = None,
    wait: o.WaitOption = False,
    timeout: o.TimeoutOption = o.DEFAULT_TIMEOUT,
    json: o.JsonOption = False,
) -> None:
    """Override one field of the active release for a time, signed and audited."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import activating

        place = _place(
            Where(
                agent=agent,
                environment=env,
                prefix=prefix,
                store=store,
                resources=resources_path,
                component=component,
            ),
            releases,
            actor,
            signing_key,
        )
        return activating.override(
            place,
            key,
            value,
            expires=expires,
            message=message,
            wait=timeout if wait else None,
            output=output,
        )

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def status(
    agent: o.AgentArgument,
    check: Annotated[bool, typer.Option("--check", help="End with 3 where they differ.")] = False,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    releases: o.ReleasesOption = None,
    actor: o.ActorOption = None,
    signing_key: o.KeyOption = None,
    json: o.JsonOption = False,
) -> None:
    """Show what is active, what is published, and how they differ."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import publishing

        place = _place(
            Where(
                agent=agent,
                environment=env,
                prefix=prefix,
                store=store,
                resources=resources_path,
                component=component,
            ),
            releases,
            actor,
            signing_key,
        )
        return publishing.status(place, check=check, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def publish(
    agent: o.AgentArgument,
    message: o.MessageOption = "published again",
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    releases: o.ReleasesOption = None,
    actor: o.ActorOption = None,
    signing_key: o.KeyOption = None,
    json: o.JsonOption = False,
) -> None:
    """Publish what is active wherever something else stands; end what is pending."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import publishing

        place = _place(
            Where(
                agent=agent,
                environment=env,
                prefix=prefix,
                store=store,
                resources=resources_path,
                component=component,
            ),
            releases,
            actor,
            signing_key,
        )
        return publishing.publish(place, message=message, output=output)

    finish(json, command)


def _place(where: Where, releases: str | None, actor: str | None, signing_key: str | None) -> Place:
    from retunable.cli.releasing import Place

    return Place(where=where, releases=releases, actor=actor, signing_key=signing_key)
