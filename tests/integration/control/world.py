"""Replicas, a control process and a command line on one backend, each with a sidecar of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from dev.dapr import Sidecar
from dev.processes import ChildProcess, Launch
from dev.redis import find_program
from dev.resources import CHECKOUT
from dev.stack import Stack
from retunable.release.store import audit
from retunable.release.store.records import Entry
from retunable.release.store.release_store import open_release_store
from retunable.release.store.replicas import LiveReplica, live_replicas

T = TypeVar("T")

PATIENCE_SECONDS = 45.0
COMMAND_SECONDS = 60.0
_OURS = ("DAPR_", "RETUNABLE_", "APP_")


def eventually(look: Callable[[], T], until: Callable[[T], bool], *, what: str) -> T:
    """Look until it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until(seen := look()):
        assert time.monotonic() < deadline, f"{what} did not come; last seen: {seen!r:.2000}"
        time.sleep(0.05)
    return seen


@dataclass(frozen=True)
class Program:
    """A running child and what it has logged."""

    process: ChildProcess
    log_file: Path

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def wait_log(self, *parts: str) -> None:
        eventually(
            self.log,
            lambda log: any(all(p in line for p in parts) for line in log.splitlines()),
            what=f"{parts} in {self.log_file.name}",
        )


@dataclass
class World(ABC):
    """One folder, one configuration store, one broker, one release store."""

    folder: Path
    releases: str
    started: ExitStack = field(default_factory=ExitStack)
    numbers: count[int] = field(default_factory=lambda: count(1))

    @abstractmethod
    def sidecar_of(self, app_id: str) -> Mapping[str, str]:
        """Return what the program beside a new sidecar of this app gets."""

    @abstractmethod
    def write(self, key: str, value: str) -> None:
        """Write past every command of ours, with the store's own client."""

    @abstractmethod
    def store(self) -> str:
        """Return the configuration store's URL."""

    def replica(
        self,
        agent: str = "support",
        *,
        environment: str = "default",
        prefix: str = "",
        limit: int = 50,
        beat_seconds: float = 0.5,
        app_id: str | None = None,
    ) -> Program:
        """Start a replica and wait until it follows its store."""
        number = next(self.numbers)
        told = {
            "agent": agent,
            "environment": environment,
            "prefix": prefix,
            "limit": limit,
            "beat_seconds": beat_seconds,
        }
        program = self._start(
            f"replica-{number}",
            [sys.executable, "-m", "tests.integration.control.replica_program"],
            {"REPLICA": json.dumps(told), **self.sidecar_of(app_id or f"{agent}-{number}")},
        )
        program.wait_log("the configuration stream is live")
        return program

    def control(self) -> Program:
        """Start ``retune control`` and wait until it takes events."""
        command = [sys.executable, "-c", "from retunable.cli import main; raise SystemExit(main())"]
        program = self._start(
            f"control-{next(self.numbers)}",
            [*command, "control"],
            {"RETUNABLE_STORE": self.store(), **self.sidecar_of("retunable-control")},
        )
        program.wait_log("takes events into")
        return program

    def retune(self, *words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command, as on another machine where it is in a folder in which nobody runs."""
        command = [sys.executable, "-c", "from retunable.cli import main; raise SystemExit(main())"]
        return subprocess.run(
            [*command, *words],
            cwd=folder or self.folder,
            env=self._environment({"RETUNABLE_STORE": self.store()}),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def retune_json(self, *words: str, code: int = 0, folder: Path | None = None) -> dict[str, Any]:
        ended = self.retune(*words, "--json", folder=folder)
        assert ended.returncode == code, f"{ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        said: dict[str, Any] = json.loads(ended.stdout)
        return said

    def save(self, agent: str, **fields: object) -> None:
        """Save a version of an agent."""
        file = self.folder / "version.json"
        whole = {"role": "Saved", "provider": "offline", "model": "offline", "tools": [], **fields}
        file.write_text(json.dumps(whole))
        self.retune_json("save", agent, str(file), "-m", "for the test")

    def observed(self) -> list[Entry]:
        """Return the audit's entries about direct writes."""
        with open_release_store(self.releases) as store, store.snapshot() as work:
            return [entry for entry in audit.entries(work) if entry.action == "observe"]

    def reports(self) -> int:
        """Return how many replicas' reports were taken."""
        with open_release_store(self.releases) as store, store.snapshot() as work:
            counted = work.connection.exec_driver_sql(
                "SELECT count(*) FROM release_observation_reports"
            )
            return int(counted.scalar_one())

    def live(self, agent: str = "support", environment: str = "default") -> list[LiveReplica]:
        with open_release_store(self.releases) as store, store.snapshot() as work:
            return list(live_replicas(work, agent, environment=environment))

    def wait_live(
        self, replicas: int, agent: str = "support", environment: str = "default"
    ) -> None:
        eventually(
            lambda: self.live(agent, environment),
            lambda found: len(found) == replicas,
            what=f"{replicas} live replicas of {agent} in {environment}",
        )

    def _start(self, name: str, command: list[str], environment: Mapping[str, str]) -> Program:
        log = self.folder / f"{name}.log"
        process = ChildProcess(
            Launch(
                name=name,
                command=command,
                log=log,
                environment=self._environment(environment),
                working_directory=self.folder,
            )
        )
        self.started.callback(process.terminate)
        return Program(process, log)

    def _environment(self, told: Mapping[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        return {**kept, "PYTHONPATH": str(CHECKOUT), "RETUNABLE_RELEASES": self.releases, **told}


class EmbeddedWorld(World):
    """Every program has an embedded sidecar on the files of one folder."""

    def sidecar_of(self, app_id: str) -> Mapping[str, str]:
        return {"DAPR_APP_ID": app_id}

    def write(self, key: str, value: str) -> None:
        from retunable.sidecar.configuration import ConfigurationFile
        from retunable.sidecar.files import configuration_file

        ConfigurationFile(configuration_file(self.folder / ".retunable")).write({key: value})

    def store(self) -> str:
        return f"sqlite:///{self.folder / '.retunable' / 'configuration.db'}"


class DaprdWorld(World):
    """Every program has a daprd of its own, on the components of one stack."""

    stack: Stack

    def sidecar_of(self, app_id: str) -> Mapping[str, str]:
        sidecar = Sidecar(
            self.folder / f"daprd-{next(self.numbers)}",
            app_id=app_id,
            resources_path=self.stack.resources,
            control_plane=self.stack.control_plane,
        )
        self.started.enter_context(sidecar)
        return sidecar.environment

    def store(self) -> str:
        return self.stack.store.url


class RedisWorld(DaprdWorld):
    """Configuration and broker are one Redis."""

    def write(self, key: str, value: str) -> None:
        client = find_program("redis-cli")
        assert client is not None
        subprocess.run(
            [client, "-p", str(self.stack.store.port), "SET", key, value],
            check=True,
            capture_output=True,
            timeout=COMMAND_SECONDS,
        )


class PostgresWorld(DaprdWorld):
    """The configuration is a table of PostgreSQL with our triggers; the broker is a Redis."""

    def write(self, key: str, value: str) -> None:
        self.stack.set(key, value)
