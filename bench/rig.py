"""What a measure runs on: real servers, a model server, and the subject processes.

The floor and ours are two apps with a sidecar each, for two workers of one app would take each
other's work. Both sidecars have the same store, state store and control plane.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from bench.subjects import pipe
from dev.dapr import Sidecar
from dev.resources import CHECKOUT
from dev.stack import Stack
from retunable.testing import ModelServer, RecordedRequest, Reply, answer, tool_calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Side = Literal["floor", "ours"]
SIDES: tuple[Side, Side] = ("floor", "ours")
ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Rig:
    """Two apps on one Redis."""

    directory: Path
    environments: Mapping[Side, Mapping[str, str]]

    def subject(self, side: Side) -> Subject:
        """Start a process of one side in a folder of its own."""
        return Subject(f"bench.subjects.{side}", self.directory / side, self.environments[side])


@contextmanager
def redis_rig(directory: Path) -> Iterator[Rig]:
    """Start everything that two apps with a model need."""
    with Stack.redis(directory / "stack", app_id="ours") as stack, ModelServer() as model:
        model.answer_always(reply_in_steps)
        floor = Sidecar(
            directory / "floor-daprd",
            app_id="floor",
            resources_path=stack.resources,
            control_plane=stack.control_plane,
        )
        with floor:
            environments: dict[Side, Mapping[str, str]] = {
                "floor": environment(floor.environment, model),
                "ours": environment(stack.environment, model),
            }
            yield Rig(directory, environments)


def environment(own: Mapping[str, str], model: ModelServer | None = None) -> dict[str, str]:
    """Return a subject's whole environment, with nothing of another Dapr or provider in it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DAPR_", "OPENAI_"))}
    url = {} if model is None else {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "unused"}
    local = {"PYTHONPATH": str(CHECKOUT), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return {**kept, **own, **url, **local}


def reply_in_steps(request: RecordedRequest) -> Reply:
    """Ask for a tool until the user's `N steps` are done; what is done stands in the messages."""
    told = next(m["content"] for m in request.messages if m["role"] == "user")
    done = sum(m["role"] == "tool" for m in request.messages)
    if done + 1 < int(told.split()[0]):
        return tool_calls(("word_count", {"text": "one two three"}))
    return answer("That was the last step.")


class Subject:
    """One process under measurement; it ends with the `with` block, at the latest by kill."""

    def __init__(
        self, module: str, directory: Path, environment: Mapping[str, str], *arguments: str
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._log = (directory / "log").open("ab")
        self.started_at = pipe.now()
        # Not as the servers are started: their launcher is a Python of its own, 20 ms here.
        self._popen = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._orders, self._facts = _present(self._popen.stdin), _present(self._popen.stdout)

    def order(self, text: str, *, within_seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Give an order and return what it tells."""
        self._orders.write(text + "\n")
        self._orders.flush()
        return self.told(within_seconds=within_seconds)

    def told(self, *, within_seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Return the next facts that it tells. Raises RuntimeError where it ended or is late."""
        watchdog = threading.Timer(within_seconds, self._popen.kill)
        watchdog.start()
        try:
            line = self._facts.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise RuntimeError(f"a subject ended or took too long; see {self._log.name}")
        facts: dict[str, Any] = json.loads(line)
        return facts

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._orders.close()  # the end of the orders
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._facts.close()
        self._log.close()


def _present(pipe_end: IO[str] | None) -> IO[str]:
    if pipe_end is None:
        raise TypeError("a subject has a pipe at both ends")
    return pipe_end
