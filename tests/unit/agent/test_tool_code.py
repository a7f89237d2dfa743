"""The digest of tools' code: equal in each process of one build, another for code that does else."""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

from retunable.agent.tools.code import tool_code
from retunable.agent.tools.tool import as_tool, tool

PROGRAM = '''
import functools

LIMIT = 5

def logged(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)
    return inner

class Desk:
    def reply(self, order):
        return clean(order)

def clean(order):
    return order.strip() if order in {"a", "b", "c", "d", "e", "f"} else order

class Proxy:
    def __getattr__(self, name):
        raise RuntimeError("there is no request now")

session = Proxy()

def unused():
    return 1

@logged
def look_up(order: str, most: int = 3) -> str:
    """Look an order up."""
    return session and Desk().reply(order) * most
'''
numbers = count(1)


def compiled(source: str) -> CodeType:
    return compile(source, "program", "exec", dont_inherit=True)


def digest(source: str = PROGRAM) -> str:
    module = ModuleType(f"program{next(numbers)}")
    exec(compiled(source), vars(module))  # noqa: S102 - a program of ours
    look_up: Any = vars(module)["look_up"]
    return tool_code({"look_up": as_tool(look_up)})


def test_two_processes_of_one_build_have_one_digest(tmp_path: Path) -> None:
    """Sets and hashes are ordered otherwise in each process."""
    (tmp_path / "program.py").write_text(PROGRAM)
    asked = (
        "from program import look_up; from retunable.agent.tools.code import tool_code; "
        "from retunable.agent.tools.tool import as_tool; print(tool_code({'': as_tool(look_up)}))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", asked],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{tmp_path}:{Path.cwd()}"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert said == {digest() + "\n"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("* most", "+ str(most)"),
        ("order.strip()", "order.lower()"),
        ('"e", "f"', '"e", "g"'),
        ("return clean(order)", "return order"),
        ("return function(*args, **kwargs)", "return str(function(*args, **kwargs))"),
        ("most: int = 3", "most: int = 4"),
        ("Look an order up.", "Look for an order."),
    ],
    ids=["body", "helper", "constant", "method", "decorator", "signature", "description"],
)
def test_changed_code_has_another_digest(old: str, new: str) -> None:
    assert old in PROGRAM
    assert digest(PROGRAM.replace(old, new)) != digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def clean(order):", "# A comment.\n\n\ndef clean(order):"),
        ("return 1", "return 2"),
        ("LIMIT = 5", "LIMIT = 6"),
    ],
    ids=["comment", "what no tool reaches", "data"],
)
def test_what_no_tool_does_changes_nothing(old: str, new: str) -> None:
    assert old in PROGRAM
    assert digest(PROGRAM.replace(old, new)) == digest()


def test_a_function_that_was_called_often_has_the_same_digest() -> None:
    """CPython rewrites the bytecode of what runs often."""
    module = ModuleType("program")
    exec(compiled(PROGRAM), vars(module))  # noqa: S102
    look_up = vars(module)["look_up"]
    before = tool_code({"look_up": as_tool(look_up)})
    for _ in range(1_000):
        look_up("a")
    assert tool_code({"look_up": as_tool(look_up)}) == before


def test_an_object_that_can_be_called_is_known_by_its_code() -> None:
    class Echo:
        def __call__(self, text: str) -> str:
            return text

    class Shout:
        def __call__(self, text: str) -> str:
            return text.upper()

    one, other = (tool(name="say", description="Say.")(each()) for each in (Echo, Shout))
    assert tool_code({"say": one}) != tool_code({"say": other})
