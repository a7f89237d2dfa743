"""The command line itself: what it imports, how it ends, what it prints as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from retunable.cli import main
from retunable.cli.exits import ExitCode
from retunable.cli.watching import event_line, events
from tests.unit.cli.records import a_report

LISTING = "import sys; from retunable.cli import main; main(['--help']); print(*sys.modules)"
WITHOUT_TYPER = (
    "import sys; sys.modules['typer'] = None; from retunable.cli import main; sys.exit(main([]))"
)


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )


def test_help_imports_nothing_heavy() -> None:
    heavy = {"pydantic", "redis", "psycopg", "yaml", "fastapi", "openai", "grpc", "dapr", "rich"}
    assert heavy & set(python(LISTING).stdout.split()) == set()


def test_a_missing_extra_is_named() -> None:
    ended = python(WITHOUT_TYPER)
    assert ended.returncode == 1
    assert 'pip install "retunable[cli]"' in ended.stderr


@pytest.mark.parametrize("command", [[], ["set"], ["doctor"]])
def test_help_documents_the_exit_codes(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for code in ExitCode:
        assert f"{int(code)} " in said.partition("Exit codes:")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ["set", "--json"],
        ["set", "role", "--json"],
        ["set", "role", "x", "--file", "f", "--json"],
        ["set", "role", "x", "--no-such-option", "--json"],
        ["unset", "--json"],
        ["nothing", "--json"],
        ["set", "agent_rle", "x", "--json"],
    ],
)
def test_wrong_usage_is_one_json_object_and_exit_2(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert json.loads(printed.out)["exit_code"] == 2
    assert printed.err == ""


def test_watch_tells_the_first_report_then_what_differs() -> None:
    first = a_report(agent_role="A")
    assert [event["event"] for event in events(None, first)] == ["running"]
    assert list(events(first, first)) == []
    second = {**a_report(agent_role="B", max_iterations="x", revision=2), "status": "STALE"}
    lines = [event_line(event) for event in events(first, second)]
    assert lines[0] == 'agent_role: "A" -> "B" (revision 2)'
    assert lines[1].startswith("rejected: max_iterations: ")
    assert lines[2].startswith("status: STALE")
