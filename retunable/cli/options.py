"""The options that commands share, and what each group of them says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from retunable.cli.command import Given
from retunable.cli.where import DEFAULT_RESOURCES, Where


def not_blank(text: str) -> str:
    """Refuse a text that says nothing."""
    if not text.strip():
        raise typer.BadParameter("it is empty")
    return text


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
NoWaitOption = Annotated[
    bool, typer.Option("--no-wait", help="Do not wait for the agent to take it.")
]
TimeoutOption = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", min=0, help="How long to wait for the agent."),
]
DEFAULT_TIMEOUT: Final = 10.0


def running_agent(
    agent: AgentOption = None, env: EnvironmentOption = None, prefix: PrefixOption = None
) -> Where:
    """Return which running agent is meant."""
    return Where(agent=agent, environment=env, prefix=prefix)


def agent_and_store(
    agent: AgentOption = None,
    env: EnvironmentOption = None,
    prefix: PrefixOption = None,
    store: StoreOption = None,
    resources_path: ResourcesOption = DEFAULT_RESOURCES,
    component: ComponentOption = None,
) -> Where:
    """Return which agent is meant, running or not, and where its store is."""
    return Where(
        agent=agent,
        environment=env,
        prefix=prefix,
        store=store,
        resources=resources_path,
        component=component,
    )


def wait_seconds(
    no_wait: NoWaitOption = False, timeout: TimeoutOption = DEFAULT_TIMEOUT
) -> float | None:
    """Return how long to wait for the agent, None for not at all."""
    return None if no_wait else timeout


RunningAgent = Annotated[Where, Given(running_agent)]
AgentAndStore = Annotated[Where, Given(agent_and_store)]
Wait = Annotated[float | None, Given(wait_seconds)]
