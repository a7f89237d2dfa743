"""Releases of the example on an embedded sidecar: nothing but Python, SQLite files, and the commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from dev.ports import free_port
from dev.processes import ChildProcess, Launch, wait_until
from dev.resources import CHECKOUT
from retunable.sidecar.environment import NAMING
from tests.integration.cli.conftest import VARIABLES, Ended, Retune

pytestmark = pytest.mark.embedded

AGENT = "config-aware-agent"
START_SECONDS = 30.0


class Example:
    """``python agent.py``, where nothing names a sidecar."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        unset = (*NAMING, *VARIABLES, "APP_ID", "DAPR_APP_ID", "OPENAI_API_KEY")
        inherited = {name: value for name, value in os.environ.items() if name not in unset}
        own = {"PYTHONPATH": str(CHECKOUT), "RETUNABLE_HTTP": f"127.0.0.1:{self._port}"}
        self.process = ChildProcess(
            Launch(
                name="agent.py",
                command=[sys.executable, CHECKOUT / "agent.py"],
                log=folder / "agent.log",
                environment=inherited | own,
                working_directory=folder,
            )
        )

    def wait_until_it_answers(self) -> None:
        wait_until(
            lambda: "answers on http://" in self.process.last_words(lines=500),
            what="the agent's first word",
            within_seconds=START_SECONDS,
        )

    def ask(self, message: str) -> str:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            body = json.dumps({"message": message})
            connection.request("POST", "/agent/runs", body, {"Content-Type": "application/json"})
            text: str = json.loads(connection.getresponse().read())["text"]
        finally:
            connection.close()
        return text


@pytest.fixture
def example(tmp_path: Path, retune: Retune) -> Iterator[Example]:
    running = Example(tmp_path)
    try:
        running.wait_until_it_answers()
        yield running
    finally:
        running.process.kill()


def taken(ended: Ended) -> tuple[int, list[str]]:
    """How a command ended, and what each running agent made of it."""
    said: dict[str, Any] = ended.json
    return ended.code, [replica["outcome"] for replica in said["replicas"]]


def test_what_runs_is_saved_activated_and_rolled_back_while_it_runs(
    example: Example, retune: Retune, tmp_path: Path
) -> None:
    as_it_came = retune("save", AGENT, "-m", "as it came", "--json").json["version"]
    assert (as_it_came["number"], as_it_came["source"]) == (1, "captured")
    go = ("-m", "go", "--wait", "--timeout", "20", "--json")
    assert taken(retune("activate", AGENT, "1", *go)) == (0, ["applied"])

    assert retune("set", "agent_role", "Oceanographer").code == 0
    assert retune("save", AGENT, "-m", "tuned by hand", "--json").json["version"]["number"] == 2
    tuned = retune("activate", AGENT, "2", *go)
    assert taken(tuned) == (0, ["applied"])
    assert set(tuned.json["cleared"]) == {"agent_role"}
    assert example.ask("Who are you?").startswith("I am Oceanographer.")

    assert taken(retune("rollback", AGENT, *go)) == (0, ["applied"])
    assert example.ask("Who are you?").startswith("I am Research Assistant.")
    assert retune("status", AGENT, "--check").code == 0
    assert retune("audit", "--verify").code == 0
    assert (tmp_path / ".retunable" / "releases.db").exists()


def readme_commands() -> Iterator[tuple[str, list[str]]]:
    """Each command of README's first screen, of its releases and of its flags, and what it prints."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    for begin, end in (("", "## Your"), ("## Releases", "### All"), ("## Flags", "## How")):
        section = text[text.index(begin) : text.index(end)]
        for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
            for step in block.removeprefix("$ ").split("\n$ "):
                command, *printed = step.splitlines()
                yield command, printed


def test_readmes_commands_print_in_their_order_what_stands_there(
    example: Example, retune: Retune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "user.key").write_text("a secret of 32 characters or more")
    ran = 0
    for command, printed in readme_commands():
        words = shlex.split(command, comments=True)
        if words[0] == "export":
            monkeypatch.setenv(*words[1].split("=", 1))
        elif words[0].endswith("retune"):
            ended = retune(*words[1:])
            assert ended.code == 0, (command, ended)
            said = without_numbers(ended.out)
            for line in printed:
                assert without_numbers(line.partition("…")[0]) in said, (command, ended)
            ran += 1
    assert ran > 10


def without_numbers(text: str) -> str:
    return re.sub(r"\d+", "N", text)


def test_an_override_is_taken_and_what_the_program_forbids_is_told_at_once(
    example: Example, retune: Retune
) -> None:
    retune("save", AGENT, "-m", "as it came")
    go = ("--wait", "--timeout", "20", "--json")
    retune("activate", AGENT, "1", "-m", "go", *go)
    for_an_hour = ("--expires", "1h", "-m", "it loops", *go)

    held = retune("override", AGENT, "agent_role", "Night Watch", *for_an_hour)
    refused = retune("override", AGENT, "llm_provider", "nobody", *for_an_hour)
    forbidden = retune("override", AGENT, "llm_provider", "nobody", "--unchecked", *for_an_hour)

    assert taken(held) == (0, ["applied"])
    assert held.json["check"]["pids"] == [example.process.pid]
    assert (refused.code, refused.json["field"]) == (2, "provider")
    shown = retune("get", "agent_role").out
    assert re.search(r"from an override in config_aware_agent until \d{4}-\d\d-\d\d ", shown)
    assert taken(forbidden) == (4, ["rejected"])
    assert "nobody" in forbidden.json["replicas"][0]["reason"]
    assert example.ask("Who are you?").startswith("I am Night Watch.")
