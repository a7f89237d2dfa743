"""The commands of ``retune`` and their options; what each does is in a module of its own.

Those modules are imported when a command runs, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from retunable.cli import options as o
from retunable.cli.exits import EXIT_CODES_TEXT, ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.where import Where
from retunable.errors import ConfigurationError, RetunableError

app = typer.Typer(
    name="retune",
    help="Retune a running agent: change its configuration in the store, and see it taken.",
    epilog=EXIT_CODES_TEXT,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    said = io.StringIO()
    try:
        if "--json" not in arguments:
            app(arguments, prog_name="retune")
        else:
            with contextlib.redirect_stderr(said):
                app(arguments, prog_name="retune")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else ExitCode.ERROR
        if said.getvalue() and code == ExitCode.USAGE:
            message = said.getvalue().strip().splitlines()[-1].removeprefix("Error: ")
            Output(as_json=True).error(Stop(message, ExitCode.USAGE))
        return code
    finally:
        sys.stdout.flush()
    return ExitCode.OK


@app.command("set", epilog=EXIT_CODES_TEXT)
def set_(
    key: Annotated[str | None, typer.Argument(help="A field's name or store key.")] = None,
    value: Annotated[str | None, typer.Argument(help="Its new value.")] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="A JSON object of fields, - for stdin."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Let a plain batch replace an active release.")
    ] = False,
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    no_wait: o.NoWaitOption = False,
    timeout: o.TimeoutOption = o.DEFAULT_TIMEOUT,
    json: o.JsonOption = False,
) -> None:
    """Set one field, or many from a file, and wait for the agent."""
    where = _where(agent, env, prefix, store, resources_path, component)
    if (file is None) == (key is None) or (key is None) != (value is None):
        _finish(json, lambda _: _stop("give either KEY and VALUE, or --file FILE"))

    def command(output: Output) -> ExitCode:
        from retunable.cli import setting

        wait = None if no_wait else timeout
        if file is not None:
            return setting.set_document(where, file, force=force, wait=wait, output=output)
        return setting.set_field(where, key or "", value or "", wait=wait, output=output)

    _finish(json, command)


@app.command(epilog=EXIT_CODES_TEXT)
def unset(
    keys: Annotated[list[str], typer.Argument(help="Names or store keys of fields.")],
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    no_wait: o.NoWaitOption = False,
    timeout: o.TimeoutOption = o.DEFAULT_TIMEOUT,
    json: o.JsonOption = False,
) -> None:
    """Take fields out of the store."""
    where = _where(agent, env, prefix, store, resources_path, component)

    def command(output: Output) -> ExitCode:
        from retunable.cli import unsetting

        return unsetting.unset(where, keys, wait=None if no_wait else timeout, output=output)

    _finish(json, command)


@app.command(epilog=EXIT_CODES_TEXT)
def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    no_wait: o.NoWaitOption = False,
    timeout: o.TimeoutOption = o.DEFAULT_TIMEOUT,
    json: o.JsonOption = False,
) -> None:
    """Remove everything that was set: the program's own values again."""
    where = _where(agent, env, prefix, store, resources_path, component)

    def command(output: Output) -> ExitCode:
        from retunable.cli import unsetting

        wait = None if no_wait else timeout
        return unsetting.reset(where, confirmed=yes, wait=wait, output=output)

    _finish(json, command)


@app.command(epilog=EXIT_CODES_TEXT)
def get(
    key: Annotated[str | None, typer.Argument(help="A field's name or store key.")] = None,
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    json: o.JsonOption = False,
) -> None:
    """Show what the store holds and what the agent runs on."""
    where = _where(agent, env, prefix, store, resources_path, component)

    def command(output: Output) -> ExitCode:
        from retunable.cli import getting

        return getting.get(where, key, output=output)

    _finish(json, command)


@app.command(epilog=EXIT_CODES_TEXT)
def watch(
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    json: o.JsonOption = False,
) -> None:
    """Follow the running agent's changes until Ctrl-C."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import watching

        return watching.watch(Where(agent=agent, environment=env, prefix=prefix), output=output)

    _finish(json, command)


@app.command(epilog=EXIT_CODES_TEXT)
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
    """Ask the running agent and print its answer."""

    def command(output: Output) -> ExitCode:
        from retunable.cli import asking

        question = asking.Question(message, user, conversation, deadline)
        where = Where(agent=agent, environment=env, prefix=prefix)
        return asking.ask(where, question, output=output)

    _finish(json, command)


@app.command(epilog=EXIT_CODES_TEXT)
def doctor(
    sidecar: Annotated[
        str | None,
        typer.Option("--sidecar", metavar="URL", help="daprd's HTTP address; else the agent says."),
    ] = None,
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = o.DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    json: o.JsonOption = False,
) -> None:
    """Find what keeps changes from the agent, with the mend."""
    where = _where(agent, env, prefix, store, resources_path, component)

    def command(output: Output) -> ExitCode:
        from retunable.cli.doctor.examination import examine

        return examine(where, sidecar=sidecar, output=output)

    _finish(json, command)


def _finish(as_json: bool, command: Callable[[Output], ExitCode]) -> None:
    output = Output(as_json)
    try:
        code = command(output)
    except Stop as stop:
        output.error(stop)
        code = stop.code
    except ConfigurationError as error:
        code = ExitCode.USAGE
        output.error(Stop(str(error), code))
    except RetunableError as error:
        code = ExitCode.ERROR
        output.error(Stop(str(error), code))
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    raise typer.Exit(code)


def _stop(message: str) -> ExitCode:
    raise Stop(message, ExitCode.USAGE)


def _where(
    agent: str | None,
    env: str | None,
    prefix: str | None,
    store: str | None,
    resources_path: Path,
    component: str | None,
) -> Where:
    return Where(
        agent=agent,
        environment=env,
        prefix=prefix,
        store=store,
        resources=resources_path,
        component=component,
    )
