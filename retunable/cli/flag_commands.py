"""The commands of ``retune flag`` and their options; what each does is in ``flagging``.

That module is imported when a command runs, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from retunable.cli.command import Given, command
from retunable.cli.exits import ExitCode
from retunable.cli.flag_wish import FlagRequest, FlagWish
from retunable.cli.output import Output
from retunable.cli.release_options import (
    AgentArgument,
    MessageOption,
    PublicationOf,
    PublicationThere,
    UncheckedOption,
    WaitIfAsked,
)

commands = typer.Typer(
    name="flag",
    help="Capabilities for some users, without a new version.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The flag, like beta-search.")]
UserKeyOption = Annotated[
    str | None,
    typer.Option(
        "--user-key",
        metavar="NAME",
        help="secretstore/key or file:PATH of the agent's user_key; else RETUNABLE_USER_KEY.",
    ),
]
_PercentOption = Annotated[
    float | None,
    typer.Option("--percent", metavar="P", min=0, max=100, help="Of those who meet the rules."),
]
_UserOption = Annotated[
    list[str] | None, typer.Option("--user", metavar="ID", help="List a user; may be repeated.")
]
_UserGoneOption = Annotated[
    list[str] | None, typer.Option("--no-user", metavar="ID", help="Take a user off the list.")
]
_WhenOption = Annotated[
    list[str] | None,
    typer.Option(
        "--when",
        metavar="RULE",
        help="'plan in pro,team' or 'country not in DE'; all must hold; anybody for no rule.",
    ),
]
_ExpiresOption = Annotated[
    str | None,
    typer.Option("--expires", metavar="TIME", help="How long it holds: 15m, 2d, 4w; or never."),
]
_SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="A field for those who have the flag."),
]
_ToolOption = Annotated[
    list[str] | None, typer.Option("--tool", metavar="NAME=on|off", help="A tool for them.")
]
_GuardrailOption = Annotated[
    list[str] | None,
    typer.Option("--guardrail", metavar="NAME=on|off|JSON", help="A guardrail for them."),
]


def flag_wish(
    percent: _PercentOption = None,
    user: _UserOption = None,
    no_user: _UserGoneOption = None,
    when: _WhenOption = None,
    expires: _ExpiresOption = None,
    set_: _SetOption = None,
    tool: _ToolOption = None,
    guardrail: _GuardrailOption = None,
) -> FlagWish:
    """Return what is wanted of a flag."""
    return FlagWish(
        percent=percent,
        users=tuple(user or ()),
        users_gone=tuple(no_user or ()),
        rules=tuple(when or ()),
        expires=expires,
        values=tuple(set_ or ()),
        tools=tuple(tool or ()),
        guardrails=tuple(guardrail or ()),
    )


Wanted = Annotated[FlagWish, Given(flag_wish)]


def flag_request(
    agent: AgentArgument,
    name: NameArgument,
    message: MessageOption,
    *,
    place: PublicationThere,
    wait: WaitIfAsked,
) -> FlagRequest:
    """Return which flag is to be another one, and why."""
    return FlagRequest(place=place.of(agent), name=name, reason=message, wait=wait)


Requested = Annotated[FlagRequest, Given(flag_request)]


def checked_request(unchecked: UncheckedOption = False, *, request: Requested) -> FlagRequest:
    """Return the same, where the running program is asked unless that is not wanted."""
    return replace(request, place=replace(request.place, unchecked=unchecked))


Checked = Annotated[FlagRequest, Given(checked_request)]


@command(commands)
def create(
    *,
    wish: Wanted,
    user_key: UserKeyOption = None,
    enabled: Annotated[
        bool, typer.Option("--enabled", help="On at once; else retune flag enable.")
    ] = False,
    request: Checked,
    output: Output,
) -> ExitCode:
    """Make a flag above the active version, off until enabled."""
    from retunable.cli import flagging

    return flagging.create(request, wish, enabled=enabled, user_key=user_key, output=output)


@command(commands, "set")
def set_flag(
    *, wish: Wanted, user_key: UserKeyOption = None, request: Checked, output: Output
) -> ExitCode:
    """Change a flag; what is not named stays. A percent that grows loses nobody."""
    from retunable.cli import flagging

    return flagging.change(request, wish, user_key=user_key, output=output)


@command(commands)
def enable(*, request: Checked, output: Output) -> ExitCode:
    """Put a flag on for those whom it is for."""
    from retunable.cli import flagging

    return flagging.switch(request, on=True, output=output)


@command(commands)
def disable(*, request: Requested, output: Output) -> ExitCode:
    """Put a flag off for everybody; it keeps its list and its percent."""
    from retunable.cli import flagging

    return flagging.switch(request, on=False, output=output)


@command(commands)
def remove(*, request: Requested, output: Output) -> ExitCode:
    """Take a flag away, with its list."""
    from retunable.cli import flagging

    return flagging.remove(request, output=output)


@command(commands, "list")
def list_flags(*, place: PublicationOf, output: Output) -> ExitCode:
    """Show the flags, for whom each is and what it changes."""
    from retunable.cli import flagging

    return flagging.list_flags(place, output=output)


@command(commands)
def explain(
    agent: AgentArgument,
    user: Annotated[str, typer.Argument(metavar="USER", help="A user's id, exactly.")],
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", metavar="NAME=VALUE", help="As the program would tell it."),
    ] = None,
    user_key: UserKeyOption = None,
    *,
    place: PublicationThere,
    output: Output,
) -> ExitCode:
    """Show which variant and flags a user gets, and why."""
    from retunable.cli import flagging

    return flagging.explain(
        place.of(agent),
        user,
        attributes=tuple(attribute or ()),
        user_key=user_key,
        output=output,
    )
