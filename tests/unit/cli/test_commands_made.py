"""Functions turned into commands: the options that they share, and what comes of what they raise."""

from __future__ import annotations

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from retunable.cli.command import Given, command
from retunable.cli.exits import ExitCode, Stop
from retunable.cli.output import Output

group = typer.Typer(rich_markup_mode=None)
runner = CliRunner()


def greeting(polite: bool = False, times: Annotated[int, typer.Option("--times")] = 1) -> str:
    return " ".join(["good day" if polite else "hi"] * times)


Greeting = Annotated[str, Given(greeting)]


@command(group)
def greet(name: str, loud: bool = False, *, said: Greeting, output: Output) -> ExitCode:
    """Greet somebody."""
    if name == "nobody":
        raise Stop("nobody is there", ExitCode.USAGE)
    output.line(f"{said} {name}{'!' if loud else ''}")
    return ExitCode.OK


@command(group, "part")
def take_leave(*, said: Greeting, output: Output) -> ExitCode:
    """Part from everybody."""
    output.line(f"{said} and bye")
    return ExitCode.OK


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("greet zoe", "hi zoe"),
        ("greet zoe --loud --times 2", "hi hi zoe!"),
        ("greet zoe --polite", "good day zoe"),
        ("part --polite", "good day and bye"),
    ],
)
def test_shared_options_reach_each_command_as_one_value(line: str, said: str) -> None:
    ended = runner.invoke(group, line.split())
    assert (ended.exit_code, ended.output) == (0, f"{said}\n")


def test_what_a_command_raises_ends_it_with_its_code() -> None:
    ended = runner.invoke(group, ["greet", "nobody"])
    assert ended.exit_code == ExitCode.USAGE
    assert "nobody is there" in ended.output


def test_help_lists_the_options_of_the_command_before_the_shared_ones() -> None:
    said = runner.invoke(group, ["greet", "--help"]).output
    places = [said.index(option) for option in ("--loud", "--polite", "--times", "--json")]
    assert places == sorted(places)
    assert "Greet somebody." in said
