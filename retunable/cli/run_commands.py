"""The commands about runs and conversations and their options; what each does is in modules of its own.

Those modules are imported when a command runs, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from retunable.cli import options as o
from retunable.cli.ending import finish
from retunable.cli.exits import EXIT_CODES_TEXT, ExitCode
from retunable.cli.output import Output
from retunable.cli.where import Where

commands = typer.Typer()

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's id; see retune runs.")]


class StateChoice(StrEnum):
    """The words of ``RunState``, which is not imported for ``--help``; a test holds them equal."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    FORGOTTEN = "forgotten"


@commands.command(epilog=EXIT_CODES_TEXT)
def ask(
    message: Annotated[str, typer.Argument(help="What to say to the agent.")],
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="On whose behalf.")
    ] = None,
    conversation: Annotated[
        str | None, typer.Option("--conversation", metavar="ID", help="Which conversation goes on.")
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option("--deadline", metavar="SECONDS", min=0.001, help="How long it may take."),
    ] = None,
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    json: o.JsonOption = False,
) -> None:
    """Ask the running agent and print its answer; its steps go to standard error as they come."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import asking

        question = asking.Question(message, user, conversation, deadline)
        return asking.ask(_where(agent, env, prefix), question, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def runs(
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=500, help="At most so many.")
    ] = 20,
    status: Annotated[
        StateChoice | None, typer.Option("--status", help="Only runs in this state.")
    ] = None,
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    json: o.JsonOption = False,
) -> None:
    """List the latest runs of the agent, newest first."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import run_list

        state = status.value if status else None
        where = _where(agent, env, prefix)
        return run_list.runs(where, limit=limit, status=state, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def explain(
    run: RunArgument,
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    json: o.JsonOption = False,
) -> None:
    """Show what gave a run's answer: each step, its configuration, its prompt and its tools."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import explanation

        return explanation.explain(_where(agent, env, prefix), run, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def stop(
    run: RunArgument,
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    json: o.JsonOption = False,
) -> None:
    """End a run without an answer."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import stopping

        return stopping.stop(_where(agent, env, prefix), run, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def forget(
    conversation: Annotated[str, typer.Argument(metavar="CONVERSATION", help="Its id.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    json: o.JsonOption = False,
) -> None:
    """Erase what was said in a conversation, for good."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import stopping

        where = _where(agent, env, prefix)
        return stopping.forget(where, conversation, confirmed=yes, output=output)

    finish(json, command)


def _where(agent: str | None, env: str | None, prefix: str | None) -> Where:
    return Where(agent=agent, environment=env, prefix=prefix)
