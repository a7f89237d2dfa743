"""Turns a function into a command, and gives it what commands share: their options are written once.

A parameter marked ``Given(make)`` gets what ``make`` makes of its own options, which stand after
the command's. ``output`` is given to every command; what it raises ends it as ``finish`` says.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args

import typer

from retunable.cli.ending import finish
from retunable.cli.exits import EXIT_CODES_TEXT, ExitCode
from retunable.cli.output import Output

JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output, errors too.")
]
_JSON = inspect.Parameter(
    "json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JsonOption
)

Command = Callable[..., ExitCode]


@dataclass(frozen=True, slots=True)
class Given:
    """Marks a parameter that no option is named after; ``make`` is called with options instead."""

    make: Callable[..., object]


def command(group: typer.Typer, name: str | None = None) -> Callable[[Command], Command]:
    """Add a function to a group of commands, under its own name unless told otherwise."""

    def add(function: Command) -> Command:
        group.command(name, epilog=EXIT_CODES_TEXT)(_with_options(function))
        return function

    return add


def _with_options(function: Command) -> Callable[..., None]:
    """Return a function whose signature has every option by itself, as typer reads it."""
    given: dict[str, tuple[Callable[..., object], list[str]]] = {}
    flat: list[inspect.Parameter] = []
    for parameter in _parameters(function):
        mark = next((m for m in get_args(parameter.annotation) if isinstance(m, Given)), None)
        if mark is not None:
            options = _parameters(mark.make)
            given[parameter.name] = mark.make, [option.name for option in options]
            flat += options
        elif parameter.annotation is not Output:
            flat.append(parameter)
    flat.append(_JSON)

    def run(*, json: bool, **options: Any) -> None:
        made = {
            name: make(**{option: options.pop(option) for option in names})
            for name, (make, names) in given.items()
        }
        finish(json, lambda output: function(output=output, **options, **made))

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    run.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    return run


def _parameters(function: Callable[..., object]) -> list[inspect.Parameter]:
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
