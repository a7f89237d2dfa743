"""What a program imports: the rooms that it enters, and no package of a face that it does not use.

Each test asks a Python of its own, for this one has imported everything already.
"""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import pytest

import retunable

WEB = {"fastapi", "starlette", "uvicorn"}
COMMAND_LINE = {"typer", "click", "rich", "yaml"}
SDK = {"dapr", "grpc", "openai"}
SQL = {"redis", "psycopg", "sqlalchemy"}
# Slow to import, and of no use to a sidecar that starts in 0.3 s.
MODELS = {"openai", "pydantic"}


def modules_of(*rooms: str) -> list[str]:
    """Every module of some rooms."""
    found = pkgutil.walk_packages(retunable.__path__, "retunable.")
    return [module.name for module in found if module.name.split(".")[1] in rooms]


def imported_by(*statements: str) -> set[str]:
    """The names of all modules that a new Python has after these statements."""
    code = "\n".join((*statements, "import json, sys", "print(json.dumps(list(sys.modules)))"))
    python = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=50
    )
    return set(json.loads(python.stdout))


def packages_of_rooms(*rooms: str) -> set[str]:
    """The top-level packages that come with all modules of some rooms."""
    modules = modules_of(*rooms)
    assert modules
    return {name.split(".")[0] for name in imported_by(*(f"import {m}" for m in modules))}


@pytest.mark.parametrize(
    ("rooms", "foreign"),
    [
        pytest.param(("config", "live", "agent", "errors"), WEB | COMMAND_LINE | SQL, id="agent"),
        pytest.param(("sidecar",), WEB | COMMAND_LINE | SQL | MODELS, id="embedded sidecar"),
        pytest.param(
            ("serve",), COMMAND_LINE - {"click"} | SQL, id="HTTP face"
        ),  # uvicorn has click
        pytest.param(("release",), WEB, id="writers"),
        pytest.param(("rollout",), WEB | COMMAND_LINE | SQL | SDK | {"numpy"}, id="verdict"),
        pytest.param(("cli",), WEB, id="command line"),
        pytest.param(("testing",), WEB | COMMAND_LINE | SQL, id="fakes"),
    ],
)
def test_a_room_imports_no_package_of_a_face_that_is_not_its_own(
    rooms: tuple[str, ...], foreign: set[str]
) -> None:
    assert packages_of_rooms(*rooms) & foreign == set()


def test_the_public_names_import_no_package_of_a_face() -> None:
    names = [name for name in retunable.__all__ if name != "__version__"]
    imported = imported_by(f"from retunable import {', '.join(names)}")
    assert {name.split(".")[0] for name in imported} & (WEB | COMMAND_LINE | SQL) == set()


def test_declaring_an_agent_leaves_the_slow_packages_for_later() -> None:
    # They cost more than all the rest; threads import them while the store is read and after.
    imported = imported_by(
        "from retunable import ConfigSubscription, DurableAgent",
        "DurableAgent('a', model='m', configuration=ConfigSubscription())",
    )
    assert imported & {"openai", "dapr.ext.workflow"} == set()


def test_the_package_itself_imports_none_of_its_rooms() -> None:
    imported = imported_by("import retunable")
    assert {name for name in imported if name.startswith("retunable.")} == set()


def test_the_help_of_the_command_line_imports_nothing_that_only_commands_need() -> None:
    imported = imported_by(
        "import contextlib, io",
        "from retunable.cli import main",
        "with contextlib.redirect_stdout(io.StringIO()): main(['--help'])",
        "with contextlib.redirect_stdout(io.StringIO()): main(['activate', '--help'])",
    )
    found = {name.split(".")[0] for name in imported}
    # Typer itself looks for pydantic.
    assert found & (SQL | SDK | {"alembic", "cryptography", "yaml"}) == set()
    assert not {name for name in imported if name.startswith("retunable.release")}
