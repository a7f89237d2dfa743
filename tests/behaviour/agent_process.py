"""A running agent program, seen from outside: its HTTP face, its log, what it observed."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx2

from dev.ports import free_port
from dev.processes import ChildProcess, Launch
from dev.resources import CHECKOUT
from tests.behaviour.agent_settings import SETTINGS_VARIABLE, AgentSettings
from tests.behaviour.agent_under_test import ADDRESS_VARIABLE, OBSERVED
from tests.behaviour.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PROGRAM = ("-m", "tests.behaviour.agent_under_test")
START_SECONDS = 20.0
ANSWER_SECONDS = 30.0
# Longer than the read takes that proves a new stream, shorter than the half second to the next.
SETTLING_SECONDS = 0.15
API_KEY = "sk-of-the-suite"

Json = dict[str, Any]


class AgentProcess:
    """One agent program in a folder of its own; started again it finds what it left there."""

    def __init__(
        self, folder: Path, *, environment: Mapping[str, str], settings: AgentSettings
    ) -> None:
        self.folder = folder
        self.log_file = folder / "agent.log"
        address = f"127.0.0.1:{free_port()}"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "OPENAI_API_KEY": API_KEY,
            SETTINGS_VARIABLE: settings.to_text(),
            ADDRESS_VARIABLE: address,
            **environment,
        }
        folder.mkdir(parents=True, exist_ok=True)
        self.process = ChildProcess(
            Launch(
                name="agent",
                command=[sys.executable, *PROGRAM],
                log=self.log_file,
                environment=self.environment,
                working_directory=folder,
            )
        )
        self.http = httpx2.Client(base_url=f"http://{address}", timeout=ANSWER_SECONDS)

    def wait_serving(self) -> None:
        """Wait until the HTTP face answers."""
        eventually(
            self._serves, what="the agent to serve", within_seconds=START_SECONDS, until=_is_true
        )

    def wait_live(self) -> None:
        """Wait until the agent is READY and its stream is live."""
        self.wait_config(
            lambda config: config["status"] == "READY" and config["stream"] == "live",
            what="READY with a live stream",
            within_seconds=START_SECONDS,
        )

    def wait_settled(self) -> None:
        """Wait for the read half a second after the subscription that was just seen.

        A change that it finds is not held against the stream, which may have come too late for it.
        """
        now = time.monotonic()
        eventually(
            lambda: time.monotonic() - self.config()["age_seconds"] - now,
            what="another read of the store",
            within_seconds=START_SECONDS,
            until=lambda later: later > SETTLING_SECONDS,
        )

    def stop(self) -> int:
        """Send SIGTERM and wait for the end; returns the exit code."""
        self.http.close()
        return self.process.terminate(within_seconds=10)

    def kill(self) -> None:
        """Kill -9."""
        self.http.close()
        self.process.kill()

    # What it says

    def config(self) -> Json:
        """Return /agent/config."""
        answer: Json = self.http.get("/agent/config", timeout=5).raise_for_status().json()
        return answer

    def values(self) -> Json:
        """Return the effective config of /agent/config."""
        values: Json = self.config()["config"]
        return values

    def ready(self) -> tuple[int, Json]:
        """Return status and body of /readyz."""
        answer = self.http.get("/readyz", timeout=5)
        return answer.status_code, answer.json()

    def run(self, message: str = "Hello.", **members: object) -> httpx2.Response:
        """Ask the agent over HTTP."""
        return self.http.post("/agent/runs", json={"message": message, **members})

    def answer(self, message: str = "Hello.", **members: object) -> Json:
        """Ask the agent and return its answer, which must be one."""
        response = self.run(message, **members)
        assert response.status_code == 200, f"{response.status_code} {response.text}\n{self.tail()}"
        answer: Json = response.json()
        return answer

    # What can be waited for

    def wait_config(
        self, until: Any, *, what: str, within_seconds: float, every_seconds: float = 0.02
    ) -> Json:
        """Wait for a state of /agent/config."""
        return eventually(
            self.config,
            what=what,
            within_seconds=within_seconds,
            until=until,
            every_seconds=every_seconds,
        )

    def wait_values(self, expected: Mapping[str, object], *, within_seconds: float = 5.0) -> Json:
        """Wait until fields of the effective config have these values."""
        return self.wait_config(
            lambda config: expected.items() <= (config["config"] or {}).items(),
            what=f"{dict(expected)!r:.200} to apply",
            within_seconds=within_seconds,
        )

    def wait_log(self, *parts: str, within_seconds: float = 5.0) -> str:
        """Wait for a log line that holds every part, and return it."""
        lines = eventually(
            lambda: self.log_lines(*parts) or self.tail(),
            what=f"{parts} in the log",
            within_seconds=within_seconds,
            until=lambda seen: isinstance(seen, list),
        )
        return lines[0]

    def wait_observed(
        self, kind: str, expected: Mapping[str, object], *, within_seconds: float = 5.0
    ) -> None:
        """Wait until a callback wrote down something that holds these facts."""
        eventually(
            lambda: self.observed(kind),
            what=f"a callback about {dict(expected)}",
            within_seconds=within_seconds,
            until=lambda facts: any(expected.items() <= fact.items() for fact in facts),
        )

    # What it wrote

    def log(self) -> str:
        """Return everything that it logged."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_lines(self, *parts: str) -> list[str]:
        """Return the log lines that hold every part."""
        return [line for line in self.log().splitlines() if all(part in line for part in parts)]

    def tail(self) -> str:
        """Return the end of its log, for a message."""
        return self.process.last_words(40)

    def observed(self, kind: str) -> Sequence[Json]:
        """Return what its callbacks wrote down: ``snapshot`` or ``status``."""
        lines = (self.folder / OBSERVED).read_text().splitlines(keepends=True)
        facts = [json.loads(line) for line in lines if line.endswith("\n")]
        return [fact for fact in facts if fact["kind"] == kind]

    def _serves(self) -> bool | str:
        if not self.process.running:
            raise AssertionError(f"the agent ended with {self.process.exit_code}:\n{self.tail()}")
        try:
            return self.http.get("/healthz", timeout=1).status_code == 200
        except httpx2.TransportError as error:
            return repr(error)


def _is_true(seen: object) -> bool:
    return seen is True
