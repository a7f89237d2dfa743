"""The command that runs the control process, and its options; what it does is in a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retunable.cli.command import Given, command
from retunable.cli.exits import ExitCode
from retunable.cli.options import ComponentOption, ResourcesOption, StoreOption
from retunable.cli.output import Output
from retunable.cli.place import Place
from retunable.cli.release_options import KeyOption, ReleasesOption
from retunable.cli.where import DEFAULT_RESOURCES, Where

commands = typer.Typer()


def _both_stores(
    store: StoreOption = None,
    resources_path: ResourcesOption = DEFAULT_RESOURCES,
    component: ComponentOption = None,
    releases: ReleasesOption = None,
    signing_key: KeyOption = None,
) -> Place:
    where = Where(store=store, resources=Path(resources_path), component=component)
    return Place(where=where, releases=releases, signing_key=signing_key)


@command(commands)
def control(
    app_id: Annotated[
        str,
        typer.Option("--app-id", metavar="ID", help="Of the embedded sidecar, where none is set."),
    ] = "retunable-control",
    pubsub: Annotated[
        str, typer.Option("--pubsub", metavar="NAME", help="The pub/sub component of the agents.")
    ] = "pubsub",
    *,
    place: Annotated[Place, Given(_both_stores)],
    output: Output,
) -> ExitCode:
    """Run the control process until Ctrl-C.

    One is enough for all agents of a release store.

    It hears the agents' replicas on the topic retunable.events, so that --wait knows them all and
    changes that somebody made in Redis are audited; and it finishes publications that a killed
    retune left pending. Agents need it for nothing. On Dapr: dapr run --app-id retunable-control
    --resources-path ./resources -- retune control
    """
    from retunable.cli import controlling

    return controlling.control(place, app_id=app_id, pubsub=pubsub, output=output)
