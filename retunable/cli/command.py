"""Turns a function into a command, and gives it what commands share: their options are written once.

A parameter marked ``Given(make)`` gets what ``make`` makes of its own options, which stand in its
place; ``make`` may be given values itself. ``output`` is given to every command; what it raises
ends it as ``finish`` says.
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
    call = _Call.of(function)
    flat = [*call.options, _JSON]

    def run(*, json: bool, **options: Any) -> None:
        finish(json, lambda output: call(options, output=output))

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    run.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    return run


@dataclass(frozen=True, slots=True)
class _Call:
    """A function with the options that it takes itself, and the calls that make its other values."""

    function: Callable[..., Any]
    options: tuple[inspect.Parameter, ...]
    own: tuple[str, ...]
    given: dict[str, _Call]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> _Call:
        flat: list[inspect.Parameter] = []
        own: list[str] = []
        given: dict[str, _Call] = {}
        for parameter in inspect.signature(function, eval_str=True).parameters.values():
            mark = next((m for m in get_args(parameter.annotation) if isinstance(m, Given)), None)
            if mark is not None:
                given[parameter.name] = cls.of(mark.make)
                flat += given[parameter.name].options
            elif parameter.annotation is not Output:
                own.append(parameter.name)
                flat.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        return cls(function, tuple(flat), tuple(own), given)

    def __call__(self, options: dict[str, Any], **more: Any) -> Any:
        made = {name: call(options) for name, call in self.given.items()}
        return self.function(**{name: options[name] for name in self.own}, **made, **more)
