"""ARCHITECTURE.md names, for each invariant, tests that hold it: they must exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
NAMED = re.findall(
    r"`(tests/[\w/]+\.py)::(\w+)`", (CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8")
)


def test_every_row_names_a_test() -> None:
    text = (CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) .*$", text, flags=re.MULTILINE)

    assert len(rows) >= 9
    assert all("::test_" in row for row in re.findall(r"^\| \d+ .*$", text, flags=re.MULTILINE))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_the_named_test_exists(file: str, name: str) -> None:
    tree = ast.parse((CHECKOUT / file).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)

    assert name in {node.name for node in ast.walk(tree) if isinstance(node, functions)}
