"""The options that commands about releases share, and the place that each group of them names.

The agent is an argument of each command, which puts it in: ``place.of(agent)``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from retunable.cli.command import Given
from retunable.cli.options import (
    DEFAULT_TIMEOUT,
    AgentAndStore,
    ComponentOption,
    EnvironmentOption,
    PrefixOption,
    ResourcesOption,
    StoreOption,
    TimeoutOption,
    not_blank,
)
from retunable.cli.place import Place
from retunable.cli.where import DEFAULT_RESOURCES, Where

AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="The agent's name.")]
VersionArgument = Annotated[
    int, typer.Argument(metavar="N", min=1, help="A version; see retune versions.")
]
MessageOption = Annotated[
    str,
    typer.Option("--message", "-m", metavar="WHY", help="The reason.", callback=not_blank),
]
ReasonOption = Annotated[
    str, typer.Option("--message", "-m", metavar="WHY", help="The reason, for the audit.")
]
ExpectOption = Annotated[
    int | None,
    typer.Option("--expect", metavar="N", min=0, help="Only if N is still active; 0 for none."),
]
KeepOverridesOption = Annotated[
    bool, typer.Option("--keep-overrides", help="Leave field keys and overrides in place.")
]
UncheckedOption = Annotated[
    bool,
    typer.Option("--unchecked", help="Do not ask the running program: it is for the next one."),
]
ReleasesOption = Annotated[
    str | None,
    typer.Option(
        "--releases",
        metavar="URL",
        help="The release store, postgresql://…, sqlite:///below/here.db or sqlite:////full/path.db; "
        "else RETUNABLE_RELEASES, or .retunable/releases.db here.",
    ),
]
_ActorOption = Annotated[
    str | None,
    typer.Option(
        "--actor", metavar="NAME", help="Recorded beside who is logged in, never instead."
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--signing-key",
        metavar="NAME",
        help="secretstore/key or file:release.pem; else RETUNABLE_SIGNING_KEY.",
    ),
]
_WaitOption = Annotated[
    bool,
    typer.Option(
        "--wait",
        help="Return when every live replica that retune control hears has taken it; without one, the agents of this folder.",
    ),
]


def recorded(releases: ReleasesOption = None) -> Place:
    """Return which release store is meant."""
    return Place(where=Where(), releases=releases)


def recorded_there(env: EnvironmentOption = None, releases: ReleasesOption = None) -> Place:
    """Return which release store is meant, and which environment."""
    return Place(where=Where(environment=env), releases=releases)


def recorded_by(
    actor: _ActorOption = None, env: EnvironmentOption = None, releases: ReleasesOption = None
) -> Place:
    """Return which release store and environment are meant, and who writes to it."""
    return Place(where=Where(environment=env), releases=releases, actor=actor)


def configuration_store(
    prefix: PrefixOption = None,
    store: StoreOption = None,
    resources_path: ResourcesOption = DEFAULT_RESOURCES,
    component: ComponentOption = None,
) -> Where:
    """Return where the agent's configuration store is."""
    return Where(prefix=prefix, store=store, resources=resources_path, component=component)


ConfigurationStore = Annotated[Where, Given(configuration_store)]


def both_stores(
    env: EnvironmentOption = None,
    *,
    where: ConfigurationStore,
    releases: ReleasesOption = None,
) -> Place:
    """Return which two stores are meant, and which environment."""
    return Place(where=where, releases=releases).at(env)


def publication(
    *,
    where: ConfigurationStore,
    releases: ReleasesOption = None,
    actor: _ActorOption = None,
    signing_key: KeyOption = None,
) -> Place:
    """Return which two stores are meant, who writes to them and who signs."""
    return Place(where=where, releases=releases, actor=actor, signing_key=signing_key)


def recorded_write(
    *,
    where: AgentAndStore,
    releases: ReleasesOption = None,
    actor: _ActorOption = None,
    signing_key: KeyOption = None,
) -> Place:
    """Return which agent's configuration is written, and the release store that is told of it."""
    return Place(where=where, releases=releases, actor=actor, signing_key=signing_key)


RecordedWrite = Annotated[Place, Given(recorded_write)]
BothStores = Annotated[Place, Given(both_stores)]
Publication = Annotated[Place, Given(publication)]


def publication_there(env: EnvironmentOption = None, *, place: Publication) -> Place:
    """Return the same, in an environment."""
    return place.at(env)


PublicationThere = Annotated[Place, Given(publication_there)]


def publication_checked(unchecked: UncheckedOption = False, *, place: PublicationThere) -> Place:
    """Return the same, where the running program is asked unless that is not wanted."""
    return replace(place, unchecked=unchecked)


PublicationChecked = Annotated[Place, Given(publication_checked)]


def publication_of(agent: AgentArgument, *, place: PublicationThere) -> Place:
    """Return the same, for an agent: where a command takes no argument after its name."""
    return place.of(agent)


def both_stores_by(actor: _ActorOption = None, *, place: BothStores) -> Place:
    """Return which two stores are meant, and who writes."""
    return replace(place, actor=actor)


def wait_if_asked(
    wait: _WaitOption = False, timeout: TimeoutOption = DEFAULT_TIMEOUT
) -> float | None:
    """Return how long to wait for the agents, None for not at all."""
    return timeout if wait else None


Recorded = Annotated[Place, Given(recorded)]
RecordedThere = Annotated[Place, Given(recorded_there)]
RecordedBy = Annotated[Place, Given(recorded_by)]
BothStoresBy = Annotated[Place, Given(both_stores_by)]
PublicationOf = Annotated[Place, Given(publication_of)]
WaitIfAsked = Annotated[float | None, Given(wait_if_asked)]
