"""The commands about folders of config files, and their options; ``syncing`` does what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retunable.cli import options as o
from retunable.cli.ending import finish
from retunable.cli.exits import EXIT_CODES_TEXT, ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.where import Where

commands = typer.Typer()

FolderArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="It holds NAME/agent.yaml for each agent.")
]


@commands.command(epilog=EXIT_CODES_TEXT)
def sync(
    folder: FolderArgument,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; end with 3 where anything differs.")
    ] = False,
    activate: Annotated[
        bool, typer.Option("--activate", help="Activate what git has in --env.")
    ] = False,
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
    """Make a version of each agent that git has changed."""
    where = Where(
        environment=env, prefix=prefix, store=store, resources=resources_path, component=component
    )

    def command(output: Output) -> ExitCode:
        from retunable.cli import syncing
        from retunable.cli.releasing import Place

        if check and activate:
            raise Stop("--check writes nothing: leave out --activate", ExitCode.USAGE)
        place = Place(where=where, releases=releases, actor=actor, signing_key=signing_key)
        if check:
            return syncing.check(place, folder, output=output)
        return syncing.sync(place, folder, activating=activate, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def export(
    agent: o.AgentArgument,
    folder: FolderArgument,
    version: Annotated[
        int | None,
        typer.Option("--version", metavar="N", min=1, help="Else what is active, or the latest."),
    ] = None,
    env: o.EnvironmentOption = None,
    releases: o.ReleasesOption = None,
    json: o.JsonOption = False,
) -> None:
    """Write a version as files: agent.yaml, and long texts as Markdown beside it."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import syncing
        from retunable.cli.releasing import Place

        place = Place(where=Where(agent=agent, environment=env), releases=releases)
        return syncing.export(place, folder, version, output=output)

    finish(json, command)
