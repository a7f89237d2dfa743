"""The one workflow worker of this process, shared by all its agents.

Two runtimes on one app id would steal each other's work. A run names its agent; the worker
hands its steps to the agent of that name, on the event loop on which that agent was started.
The worker starts in a thread of its own and never holds up the end of the process.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from retunable.agent.loop.steps import Steps
from retunable.errors import ConfigurationError
from retunable.live.sidecar import endpoint_from_environment
from retunable.live.threads import run_in_daemon_thread

if TYPE_CHECKING:
    from retunable.agent.loop.workflow import Runtime

_log = logging.getLogger("retunable")

STOP_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 1.0
WATCH_SECONDS: Final = 1.0
DEAF_SECONDS: Final = 3.0
SIDECAR_PROBE_SECONDS: Final = 0.1
AGENT_LATE_SECONDS: Final = 60.0
"""How long a run that came back after a restart waits for its agent before the log says so."""

AgentKey = tuple[str, str]
"""Agent name and environment."""


@dataclass(frozen=True, slots=True)
class Host:
    """One started agent: its steps, and the event loop that they run on."""

    steps: Steps
    loop: asyncio.AbstractEventLoop


class Worker:
    """Connects one SDK runtime to the sidecar and dispatches to the agents that joined."""

    def __init__(self, *, agent_late_seconds: float = AGENT_LATE_SECONDS) -> None:
        self._agent_late_seconds = agent_late_seconds
        self._hosts: dict[AgentKey, Host | None] = {}
        self._stopping = threading.Event()
        self._shutting_down = threading.Lock()
        self._runtime: Runtime | None = None
        self._thread = threading.Thread(
            target=self._keep_connected, name="retunable-worker", daemon=True
        )

    def join(self, key: AgentKey) -> None:
        """Connect for an agent; its steps wait until ``serve`` says who runs them.

        Raises:
            ConfigurationError: an agent of this name is started in this process already.
        """
        if key in self._hosts:
            raise ConfigurationError(
                f"an agent named {key[0]!r} in environment {key[1]!r} is started in this process "
                "already; give one of them another name"
            )
        self._hosts[key] = None
        if not self._thread.is_alive():
            self._thread.start()

    def serve(self, key: AgentKey, host: Host) -> None:
        """Hand an agent's steps to its host from now on."""
        self._hosts[key] = host

    def leave(self, key: AgentKey) -> bool:
        """Give an agent's steps up; tell whether no agent is left."""
        self._hosts.pop(key, None)
        return not self._hosts

    async def stop(self) -> None:
        """Stop the runtime; after ``STOP_SECONDS`` go on without it."""
        self._stopping.set()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await run_in_daemon_thread(self._end, name="retunable-worker-stop")
        except TimeoutError:
            _log.warning("the workflow worker did not stop within %g s; going on", STOP_SECONDS)

    async def model_step(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Run a model step on the loop of the agent that the run names."""
        from retunable.agent.loop.workflow import run_on

        host = await self._host(data)
        return await run_on(host.loop, host.steps.model_step, data)

    async def tool_call(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Run a tool call on the loop of the agent that the run names."""
        from retunable.agent.loop.workflow import run_on

        host = await self._host(data)
        return await run_on(host.loop, host.steps.tool_call, data)

    async def _host(self, named: Mapping[str, Any]) -> Host:
        """Wait until the agent of a run is started: to give up would fail a run that was accepted."""
        key = (named["agent"], named["environment"])
        late = time.monotonic() + self._agent_late_seconds
        while (host := self._hosts.get(key)) is None:
            if time.monotonic() > late:
                _log.warning(
                    "run %s waits for agent %r in environment %r; start it in this program, or "
                    "end the run with `retune stop`",
                    named["run_id"],
                    *key,
                )
                late = math.inf
            await asyncio.sleep(0.05)
        return host

    def _keep_connected(self) -> None:
        """Start the runtime as soon as the sidecar listens; the thread's whole life."""
        from retunable.agent.loop.workflow import new_runtime

        while self._wait_for_sidecar():
            runtime = self._runtime = new_runtime(self)
            try:
                runtime.start()
            except Exception:  # noqa: BLE001 - a supervised seam: the SDK raises anything; tried again
                if not self._stopping.is_set():
                    _log.exception("the workflow worker did not start; trying again")
                    self._stopping.wait(RETRY_SECONDS)
            else:
                self._watch(runtime)
            self._shut_down(runtime)

    def _watch(self, runtime: Runtime) -> None:
        """Return when the worker is to stop, or when the runtime stays deaf to a sidecar that listens.

        The SDK reconnects by itself, but backs off up to 15 s: after a minute without a sidecar
        it would be that late.
        """
        target = endpoint_from_environment().target
        deaf_since: float | None = None
        while not self._stopping.wait(WATCH_SECONDS):
            if runtime.streams() or not _listens(target):
                deaf_since = None
            elif deaf_since is None:
                deaf_since = time.monotonic()
            elif time.monotonic() - deaf_since > DEAF_SECONDS:
                _log.info("the workflow worker is connected anew")
                return

    def _wait_for_sidecar(self) -> bool:
        """Wait until the sidecar listens; False when the worker is to stop.

        Without it the SDK's own first connection would back off, up to 15 s.
        """
        target = endpoint_from_environment().target
        while not self._stopping.is_set():
            if _listens(target):
                return True
            self._stopping.wait(SIDECAR_PROBE_SECONDS)
        return False

    def _end(self) -> None:
        """Unblock a start that still waits for its sidecar, and wait for the thread's end."""
        if self._runtime is not None:
            # SDK 1.19 joins a thread that a start on its way has made but not begun yet. That
            # start sees that it is to stop, and the thread shuts the runtime down after it.
            with suppress(RuntimeError):
                self._shut_down(self._runtime)
        self._thread.join()

    def _shut_down(self, runtime: Runtime) -> None:
        # The SDK's shutdown fails when two threads call it at once; a second one after it is fine.
        with self._shutting_down:
            runtime.shutdown()


_worker: Worker | None = None


def join_worker(key: AgentKey) -> Worker:
    """Add an agent to the worker of this process, which the first one starts."""
    global _worker
    if _worker is None:
        _worker = Worker()
    _worker.join(key)
    return _worker


async def leave_worker(key: AgentKey) -> None:
    """Take an agent out again; the last one stops the worker."""
    global _worker
    if _worker is not None and _worker.leave(key):
        worker, _worker = _worker, None
        await worker.stop()


def _listens(target: str) -> bool:
    """Tell whether somebody listens at a gRPC target; True where that cannot be asked."""
    found = re.fullmatch(r"(?:dns:(?://[^/]*/)?)?\[?([^/]*?)\]?:([0-9]+)", target)
    if found is None:
        return True
    try:
        socket.create_connection((found[1], int(found[2])), timeout=1.0).close()
    except OSError:
        return False
    return True
