"""The commands about runs and conversations and their options; what each does is in modules of its own.

Those modules are imported when a command runs, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from retunable.cli.command import command
from retunable.cli.exits import ExitCode
from retunable.cli.options import RunningAgent, not_blank
from retunable.cli.output import Output

commands = typer.Typer()

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's id; see retune runs.")]


class StateChoice(StrEnum):
    """The words of ``RunState``, which is not imported for ``--help``; a test holds them equal."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    FORGOTTEN = "forgotten"


@command(commands)
def ask(
    message: Annotated[
        str,
        typer.Argument(metavar="TEXT", help="What to say to the agent.", callback=not_blank),
    ],
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
    *,
    where: RunningAgent,
    output: Output,
) -> ExitCode:
    """Ask the running agent and print its answer.

    Its steps go to standard error as they come.
    """
    from retunable.cli import asking

    question = asking.Question(message, user, conversation, deadline)
    return asking.ask(where, question, output=output)


@command(commands)
def runs(
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=500, help="At most so many.")
    ] = 20,
    status: Annotated[
        StateChoice | None, typer.Option("--status", help="Only runs in this state.")
    ] = None,
    *,
    where: RunningAgent,
    output: Output,
) -> ExitCode:
    """List the latest runs of the agent, newest first."""
    from retunable.cli import run_list

    state = status.value if status else None
    return run_list.runs(where, limit=limit, status=state, output=output)


@command(commands)
def explain(run: RunArgument, *, where: RunningAgent, output: Output) -> ExitCode:
    """Show what gave a run's answer.

    That is each step with its configuration, its prompt and its tools.
    """
    from retunable.cli import explanation

    return explanation.explain(where, run, output=output)


@command(commands)
def stop(run: RunArgument, *, where: RunningAgent, output: Output) -> ExitCode:
    """End a run without an answer."""
    from retunable.cli import stopping

    return stopping.stop(where, run, output=output)


@command(commands)
def forget(
    conversation: Annotated[str, typer.Argument(metavar="CONVERSATION", help="Its id.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    *,
    where: RunningAgent,
    output: Output,
) -> ExitCode:
    """Erase what was said in a conversation, for good."""
    from retunable.cli import stopping

    return stopping.forget(where, conversation, confirmed=yes, output=output)
