"""The commands about versions and their history, and their options; what each does is in modules of its own.

Those modules are imported when a command runs, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

from pathlib import Path
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


@commands.command("versions", epilog=EXIT_CODES_TEXT)
def versions_(
    agent: o.AgentArgument,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")
    ] = 50,
    releases: o.ReleasesOption = None,
    json: o.JsonOption = False,
) -> None:
    """List an agent's versions, newest first, with where each is active."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import version_list

        return version_list.list_versions(_place(agent, releases), limit=limit, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def show(
    agent: o.AgentArgument,
    version: o.VersionArgument,
    releases: o.ReleasesOption = None,
    json: o.JsonOption = False,
) -> None:
    """Show one version whole."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import version_list

        return version_list.show(_place(agent, releases), version, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def save(
    agent: o.AgentArgument,
    message: o.MessageOption,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]", help="YAML or JSON, - for stdin; without it, what runs now."
        ),
    ] = None,
    actor: o.ActorOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    releases: o.ReleasesOption = None,
    json: o.JsonOption = False,
) -> None:
    """Save a new version; what the latest one already is makes none."""
    where = Where(
        agent=agent,
        environment=env,
        prefix=prefix,
        store=store,
        resources=resources_path,
        component=component,
    )

    def command(output: Output) -> ExitCode:
        from retunable.cli import saving

        place = _place(agent, releases, where=where, actor=actor)
        return saving.save(place, file, message=message, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def diff(
    agent: o.AgentArgument,
    old: Annotated[
        str,
        typer.Argument(metavar="A", help="A version, active, effective, an environment, a file."),
    ],
    new: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 where they differ.")
    ] = False,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    releases: o.ReleasesOption = None,
    json: o.JsonOption = False,
) -> None:
    """Show what differs between any two, field by field and prompts word by word."""
    where = Where(
        agent=agent,
        environment=env,
        prefix=prefix,
        store=store,
        resources=resources_path,
        component=component,
    )

    def command(output: Output) -> ExitCode:
        from retunable.cli import comparing

        place = _place(agent, releases, where=where)
        return comparing.compare(place, old, new, exit_code=exit_code, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def audit(
    agent: Annotated[
        str | None, typer.Argument(metavar="[AGENT]", help="Only this agent's.")
    ] = None,
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
    env: o.EnvironmentOption = None,
    releases: o.ReleasesOption = None,
    json: o.JsonOption = False,
) -> None:
    """Show who changed what, when and why."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import auditing

        place = _place(agent, releases, env=env)
        if verify:
            return auditing.verify_audit(place, output=output)
        return auditing.show_audit(place, since=since, actor=actor, field=field, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def at(
    agent: o.AgentArgument,
    time: Annotated[str, typer.Argument(metavar="TIME", help="2026-11-21T15:00, or 2h ago.")],
    env: o.EnvironmentOption = None,
    releases: o.ReleasesOption = None,
    json: o.JsonOption = False,
) -> None:
    """Show what was active at a moment."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import auditing

        return auditing.active_at(_place(agent, releases, env=env), time, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def approve(
    agent: o.AgentArgument,
    version: o.VersionArgument,
    message: o.MessageOption = "",
    actor: o.ActorOption = None,
    env: o.EnvironmentOption = None,
    releases: o.ReleasesOption = None,
    json: o.JsonOption = False,
) -> None:
    """Approve a version for an environment, as the person who is logged in."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import auditing

        place = _place(agent, releases, env=env, actor=actor)
        return auditing.approve(place, version, message=message, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def policy(
    agent: o.AgentArgument,
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
    message: o.MessageOption = "",
    actor: o.ActorOption = None,
    env: o.EnvironmentOption = None,
    releases: o.ReleasesOption = None,
    json: o.JsonOption = False,
) -> None:
    """Show or set what an environment asks before a version becomes active there."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import policies

        place = _place(agent, releases, env=env, actor=actor)
        if require_approval is None:
            return policies.show_policy(place, output=output)
        return policies.set_policy(
            place, require_approval=require_approval, message=message, output=output
        )

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def key(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="secretstore/key or file:release.pem")
    ],
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    json: o.JsonOption = False,
) -> None:
    """Show the public key of a signing key, as a program names it in trust=."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import signing_keys

        return signing_keys.show_key(name, resources=Path(resources_path), output=output)

    finish(json, command)


def _place(
    agent: str | None,
    releases: str | None,
    *,
    where: Where | None = None,
    env: str | None = None,
    actor: str | None = None,
) -> Place:
    from retunable.cli.releasing import Place

    there = where or Where(agent=agent, environment=env)
    return Place(where=there, releases=releases, actor=actor)
