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
        help="redis://…, postgresql://… or sqlite:///…; else the running agent says, "
        "RETUNABLE_STORE, .retunable/configuration.db, or the component in --resources-path.",
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
DEFAULT_TIMEOUT = 10.0
