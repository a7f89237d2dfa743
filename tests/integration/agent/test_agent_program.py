"""The example as `dapr run` starts it: its log lines, its answers, its end."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from dev.ports import free_port
from dev.processes import ChildProcess, Launch, wait_until
from dev.resources import CHECKOUT
from dev.stack import RedisStack

END_SECONDS = 8.0


class Program:
    """A running agent.py."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._port = free_port()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")}
        own = {"PYTHONPATH": str(CHECKOUT), "RETUNABLE_HTTP": f"127.0.0.1:{self._port}"}
        self.process = ChildProcess(
            Launch(
                name="agent.py",
                command=[sys.executable, CHECKOUT / "agent.py"],
                log=directory / "agent.log",
                environment=inherited | environment | own,
                working_directory=directory,
            )
        )

    @property
    def log(self) -> str:
        return self.process.last_words(lines=500)

    def wait_log(self, text: str) -> None:
        wait_until(lambda: text in self.log, what=text, within_seconds=15)

    def ask(self, message: str) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=15)
        try:
            body = json.dumps({"message": message})
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/agent/runs", body, headers)
            answered: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answered


@pytest.fixture
def program(redis_stack: RedisStack, tmp_path: Path) -> Iterator[Program]:
    running = Program(tmp_path, redis_stack.environment)
    running.wait_log("answers on http://")
    yield running
    running.process.kill()


def test_redis_cli_retunes_it_and_the_log_says_so(
    program: Program, redis_stack: RedisStack
) -> None:
    assert program.ask("Who are you?")["text"].startswith("I am Research Assistant.")
    redis_stack.set("agent_role", "Expert Data Scientist")
    program.wait_log('Agent config-aware-agent applying config update: agent_role="Expert Data')
    assert program.ask("Who are you?")["text"].startswith("I am Expert Data Scientist.")


def test_its_log_shows_who_it_is(program: Program) -> None:
    program.wait_log("Current Persona: [Research Assistant] - Help people find")


def test_it_uses_its_tools(program: Program) -> None:
    text = program.ask('What is the word count of "a b c"?')["text"]
    assert text.endswith("word_count answered: 3")


def test_sigterm_ends_it_in_order_though_daprd_was_killed_before(
    program: Program, redis_stack: RedisStack
) -> None:
    program.ask("Who are you?")
    redis_stack.sidecar.kill()
    program.process.send(signal.SIGTERM)
    assert program.process.wait(within_seconds=END_SECONDS) == 0


def test_sigterm_ends_it_in_order_though_daprd_hangs(
    program: Program, redis_stack: RedisStack
) -> None:
    program.ask("Who are you?")
    redis_stack.sidecar.pause()
    program.process.send(signal.SIGTERM)
    code = program.process.wait(within_seconds=END_SECONDS)
    redis_stack.sidecar.resume()
    assert code == 0


def test_sigterm_ends_it_while_it_waits_for_its_sidecar(tmp_path: Path) -> None:
    program = Program(tmp_path, {"DAPR_GRPC_PORT": str(free_port())})
    program.wait_log("answers on http://")
    program.process.send(signal.SIGTERM)
    assert program.process.wait(within_seconds=END_SECONDS) == 0
