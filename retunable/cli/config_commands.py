"""The commands about configuration and their options; what each does is in a module of its own.

Those modules are imported when a command runs, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retunable.cli import options as o
from retunable.cli.ending import finish
from retunable.cli.exits import EXIT_CODES_TEXT, ExitCode, Stop
from retunable.cli.output import Output
from retunable.cli.where import DEFAULT_RESOURCES, Where

commands = typer.Typer()


@commands.command("set", epilog=EXIT_CODES_TEXT)
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
    resources_path: o.ResourcesOption = DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    no_wait: o.NoWaitOption = False,
    timeout: o.TimeoutOption = o.DEFAULT_TIMEOUT,
    json: o.JsonOption = False,
) -> None:
    """Set one field, or many from a file, and wait for the agent."""
    where = _where(agent, env, prefix, store, resources_path, component)
    if (file is None) == (key is None) or (key is None) != (value is None):
        finish(json, lambda _: _stop("give either KEY and VALUE, or --file FILE"))

    def command(output: Output) -> ExitCode:
        from retunable.cli import setting

        wait = None if no_wait else timeout
        if file is not None:
            return setting.set_document(where, file, force=force, wait=wait, output=output)
        return setting.set_field(where, key or "", value or "", wait=wait, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def unset(
    keys: Annotated[list[str], typer.Argument(help="Names or store keys of fields.")],
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = DEFAULT_RESOURCES,
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

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = DEFAULT_RESOURCES,
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

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def get(
    key: Annotated[str | None, typer.Argument(help="A field's name or store key.")] = None,
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    json: o.JsonOption = False,
) -> None:
    """Show what the store holds and what the agent runs on."""
    where = _where(agent, env, prefix, store, resources_path, component)

    def command(output: Output) -> ExitCode:
        from retunable.cli import getting

        return getting.get(where, key, output=output)

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
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

    finish(json, command)


@commands.command(epilog=EXIT_CODES_TEXT)
def doctor(
    sidecar: Annotated[
        str | None,
        typer.Option("--sidecar", metavar="URL", help="daprd's HTTP address; else the agent says."),
    ] = None,
    agent: o.AgentOption = None,
    env: o.EnvironmentOption = None,
    prefix: o.PrefixOption = None,
    store: o.StoreOption = None,
    resources_path: o.ResourcesOption = DEFAULT_RESOURCES,
    component: o.ComponentOption = None,
    json: o.JsonOption = False,
) -> None:
    """Find what keeps changes from the agent, with the mend."""
    where = _where(agent, env, prefix, store, resources_path, component)

    def command(output: Output) -> ExitCode:
        from retunable.cli.doctor.examination import examine

        return examine(where, sidecar=sidecar, output=output)

    finish(json, command)


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
