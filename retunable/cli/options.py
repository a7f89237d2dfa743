"""The options that commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AgentOption = Annotated[
    str | None,
    typer.Option("--agent", metavar="NAME", help="The agent; needed where several run, or none."),
]
EnvironmentOption = Annotated[
    str | None, typer.Option("--env", metavar="NAME", help="The agent's environment.")
]
PrefixOption = Annotated[
    str | None,
    typer.Option("--prefix", metavar="P/", help="What stands before all keys of the agent."),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="redis://… or postgresql://…; else the running agent says, RETUNABLE_STORE, or the "
        "component in --resources-path.",
    ),
]
ResourcesOption = Annotated[
    Path, typer.Option("--resources-path", metavar="FOLDER", help="Dapr's component files.")
]
ComponentOption = Annotated[
    str | None,
    typer.Option("--component", metavar="NAME", help="The configuration component's name."),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output, errors too.")
]
NoWaitOption = Annotated[
    bool, typer.Option("--no-wait", help="Do not wait for the agent to take it.")
]
TimeoutOption = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", min=0, help="How long to wait for the agent."),
]
DEFAULT_RESOURCES = Path("resources")
DEFAULT_TIMEOUT = 10.0
AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="The agent's name.")]
VersionArgument = Annotated[
    int, typer.Argument(metavar="N", min=1, help="A version; see retune versions.")
]
ReleasesOption = Annotated[
    str | None,
    typer.Option(
        "--releases",
        metavar="URL",
        help="The release store, postgresql://… or sqlite:///…; else RETUNABLE_RELEASES, or "
        ".retunable/releases.db here.",
    ),
]
ActorOption = Annotated[
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
MessageOption = Annotated[str, typer.Option("--message", "-m", metavar="WHY", help="The reason.")]
ExpectOption = Annotated[
    int | None,
    typer.Option("--expect", metavar="N", min=0, help="Only if N is still active; 0 for none."),
]
KeepOverridesOption = Annotated[
    bool, typer.Option("--keep-overrides", help="Leave field keys and overrides in place.")
]
WaitOption = Annotated[
    bool, typer.Option("--wait", help="Return when the agents of this folder have taken it.")
]
