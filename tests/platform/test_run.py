"""`python -m dev.run` with a stand-in for the agent: what it gets and how everything ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dev.dapr import DaprBinaries
from dev.processes import ChildProcess, Launch, is_alive, wait_until

CHECKOUT = Path(__file__).parents[2]
COMPONENTS = Path(__file__).with_name("components") / "redis"

# Writes its environment when it is up; ends with 0 on SIGTERM and with 5 when told to by a file.
AGENT = """
import json, os, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
Path("environment.tmp").write_text(json.dumps(dict(os.environ)))
Path("environment.tmp").rename("environment.json")
while not Path("end").exists():
    time.sleep(0.02)
sys.exit(5)
"""


class Run:
    """One `make run-dapr` on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "agent.py").write_text(AGENT)
        self.log = folder / "run.log"
        self.process = ChildProcess(
            Launch(name="run", command=self.command, log=self.log, working_directory=CHECKOUT)
        )

    @property
    def command(self) -> list[str | Path]:
        agent, folder = self.folder / "agent.py", self.folder / "run"
        arguments: list[str | Path] = [
            "--agent",
            agent,
            "--folder",
            folder,
            "--resources",
            COMPONENTS,
        ]
        return [sys.executable, "-m", "dev.run", *arguments]

    def agent_environment(self) -> dict[str, Any]:
        file = self.folder / "environment.json"
        wait_until(
            lambda: file.exists() or not self.process.running, what="agent", within_seconds=30
        )
        assert self.process.running, self.process.last_words()
        environment: dict[str, Any] = json.loads(file.read_text())
        return environment

    def parts(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()


@pytest.fixture
def run(tmp_path: Path, dapr_binaries: DaprBinaries, redis_program: Path) -> Iterator[Run]:
    started = Run(tmp_path)
    yield started
    started.process.terminate(within_seconds=20)


def test_the_agent_gets_what_dapr_run_gives_and_where_the_store_is(run: Run) -> None:
    environment = run.agent_environment()
    assert set(environment) >= {
        "APP_ID",
        "APP_PROTOCOL",
        "APP_CHANNEL_ADDRESS",
        "DAPR_GRPC_PORT",
        "DAPR_HTTP_PORT",
        "DAPR_METRICS_PORT",
        "RETUNABLE_STORE",
    }
    assert "DAPR_GRPC_ENDPOINT" not in environment


def test_it_says_how_to_retune_and_how_to_ask(run: Run) -> None:
    run.agent_environment()
    text = run.log.read_text()
    assert 'retune set agent_role "Expert Data Scientist"' in text
    assert "retune ask" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_everything_it_started(run: Run, number: signal.Signals) -> None:
    run.agent_environment()
    parts = run.parts()
    assert len(parts) == 5
    run.process.send(number)
    assert run.process.wait(within_seconds=10) == 0, run.process.last_words()
    assert not [part for part in parts if is_alive(part)]


def test_it_ends_when_the_agent_ends_with_its_exit_code(run: Run) -> None:
    run.agent_environment()
    (run.folder / "end").touch()
    assert run.process.wait(within_seconds=10) == 5


def test_a_part_that_was_killed_is_started_again(run: Run) -> None:
    run.agent_environment()
    [redis] = [part for part in run.parts() if part.name() == "redis-server"]
    redis.kill()
    wait_until(
        lambda: any(
            p.name() == "redis-server" and is_alive(p) and p.pid != redis.pid for p in run.parts()
        ),
        what="Redis to be back",
        within_seconds=10,
    )


def test_a_second_one_in_the_same_folder_is_refused(run: Run) -> None:
    run.agent_environment()
    second = subprocess.run(run.command, check=False, capture_output=True, text=True, cwd=CHECKOUT)
    assert second.returncode == 1
    assert "runs already" in second.stderr
