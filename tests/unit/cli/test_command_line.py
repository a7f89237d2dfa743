"""The command line itself: what it imports, how it ends, what it prints as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from retunable.cli import main
from retunable.cli.exits import ExitCode
from retunable.cli.watching import event_line, events
from retunable.config.package import PACKAGE_VERSION
from tests.unit.cli.records import a_report

LISTING = "import sys; from retunable.cli import main; main(['--help']); print(*sys.modules)"
WITHOUT_TYPER = (
    "import sys; sys.modules['typer'] = None; from retunable.cli import main; sys.exit(main([]))"
)
INTERRUPTED = """
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from retunable.cli import main
sys.exit(main(["get"]))
"""


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )


def test_help_imports_nothing_heavy() -> None:
    heavy = {"pydantic", "redis", "psycopg", "yaml", "fastapi", "openai", "grpc", "dapr", "rich"}
    assert heavy & set(python(LISTING).stdout.split()) == set()


@pytest.mark.parametrize("module", ["version_list", "activating", "setting"])
def test_a_command_imports_nothing_that_runs_an_agent(module: str) -> None:
    imported = python(f"import sys; import retunable.cli.{module}; print(*sys.modules)").stdout
    assert "retunable.cli.output" in imported
    assert {"retunable.live.watcher", "retunable.agent", "grpc", "dapr"} & set(
        imported.split()
    ) == set()


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
        ["--json", "set", "agent_rle", "x"],
        ["--json"],
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


@pytest.mark.parametrize("group", [[], ["flag"], ["canary"]])
def test_a_list_of_commands_says_each_whole(
    group: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*group, "--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:")[2].partition("Exit codes:")[0]
    assert listed
    assert [line for line in listed.splitlines() if line.endswith("...")] == []


@pytest.mark.parametrize("group", [[], ["flag"], ["canary"]])
def test_a_group_alone_lists_its_commands(
    group: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(group)
    printed = capsys.readouterr()
    assert "Commands:" in printed.out + printed.err


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"retunable {PACKAGE_VERSION}\n"


def test_ctrl_c_while_it_still_imports_ends_without_a_traceback() -> None:
    ended = python(INTERRUPTED)
    assert (ended.returncode, ended.stderr) == (ExitCode.INTERRUPTED, "")


@pytest.mark.parametrize(
    "arguments",
    [["ask", " "], ["activate", "a", "1", "-m", ""], ["canary", "abort", "a", "-m", " "]],
)
def test_a_text_that_says_nothing_is_wrong_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == ExitCode.USAGE
    assert "it is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["show", "a", "1"],
        ["audit", "--verify"],
        ["at", "a", "2h ago"],
        ["diff", "a", "1", "2"],
        ["policy", "a"],
    ],
)
def test_a_look_where_no_release_store_is_makes_none(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RETUNABLE_RELEASES", raising=False)
    assert main(command) == ExitCode.ERROR
    assert "no release store at .retunable/releases.db" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [(["versions", "a"], "a has no version"), (["audit", "a"], "the audit has no such entry")],
)
def test_a_list_where_no_release_store_is_is_empty_and_makes_none(
    command: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RETUNABLE_RELEASES", raising=False)
    assert main(command) == ExitCode.OK
    assert said in "".join(capsys.readouterr())
    assert list(tmp_path.iterdir()) == []


def test_a_named_release_store_that_is_not_there_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong" / "releases.db"
    assert main(["show", "a", "1", "--releases", f"sqlite:///{file}"]) == ExitCode.ERROR
    assert f"no release store at {file}" in capsys.readouterr().err
    assert not file.parent.exists()


def test_a_release_store_that_is_named_from_this_folder_on_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    here = ["--releases", "sqlite:///kept/releases.db"]
    asked = ["policy", "a", "--require-approval", "1", "-m", "two pairs of eyes"]
    assert main([*asked, *here]) == ExitCode.OK
    assert main(["policy", "a", *here]) == ExitCode.OK
    assert capsys.readouterr().out.endswith("a in default: 1 approval (revision 1)\n")
    assert (tmp_path / "kept" / "releases.db").exists()


@pytest.mark.parametrize(
    "command", [["show", "a", "1"], ["approve", "a", "1"], ["export", "a", "out"]]
)
def test_a_version_of_an_agent_without_any_is_refused_in_the_same_words(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    store = ["--releases", f"sqlite:///{tmp_path}/releases.db"]
    assert main(["migrate", *store]) == ExitCode.OK
    assert main([*command, *store]) == ExitCode.USAGE
    assert "a has no version 1: it has none; retune save makes one" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_not_told_as_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        assert main(["versions", "a"]) == ExitCode.UNREAD


def test_a_closed_standard_output_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["versions", "a"]) == ExitCode.OK


def test_watch_tells_the_first_report_then_what_differs() -> None:
    first = a_report(agent_role="A")
    assert [event["event"] for event in events(None, first)] == ["running"]
    assert list(events(first, first)) == []
    second = {**a_report(agent_role="B", max_iterations="x", revision=2), "status": "STALE"}
    lines = [event_line(event) for event in events(first, second)]
    assert lines[0] == 'agent_role: "A" -> "B" (revision 2)'
    assert lines[1].startswith("rejected: max_iterations: ")
    assert lines[2].startswith("status: STALE")


def test_watch_tells_that_a_rejection_is_over() -> None:
    rejecting = a_report(max_iterations="x")
    [event] = [e for e in events(rejecting, a_report(revision=2)) if e["event"] != "changed"]
    assert event_line(event) == "no longer rejected: max_iterations"
