"""The workflow worker of this process, shared by all its agents.

Each event loop with agents on it reads a stream of work. Whatever comes on any of them is handed to
the agent that the run names, on the loop on which that agent was started.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from retunable.agent.loop.steps import Steps
from retunable.errors import ConfigurationError
from retunable.live.threads import run_in_daemon_thread

if TYPE_CHECKING:
    from retunable.agent.loop.work_stream import Activities, WorkStream

_log = logging.getLogger("retunable")

RETRY_SECONDS: Final = 1.0
AGENT_LATE_SECONDS: Final = 60.0
"""How long a run that came back after a restart waits for its agent before the log says so."""

AgentKey = tuple[str, str]
"""Agent name and environment."""


@dataclass(frozen=True, slots=True)
class Host:
    """One started agent: its steps, and the event loop that they run on."""

    steps: Steps
    loop: asyncio.AbstractEventLoop


class _Reader:
    """Reads work on one event loop for the agents on it, and does not end while one is left."""

    def __init__(self, activities: Activities) -> None:
        self.agents: set[AgentKey] = set()
        self._activities = activities
        self._stream: WorkStream | None = None
        self._task = asyncio.create_task(self._read(), name="retunable-worker")

    async def close(self) -> None:
        """Hand in what is done, and leave the rest to the next worker."""
        if self._stream is not None:
            await self._stream.drain()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            try:
                await self._read_one_stream()
            except Exception:  # noqa: BLE001 - a supervised seam: a worker that is dead runs nothing
                _log.exception("the workflow worker failed; it is started again")
            await asyncio.sleep(RETRY_SECONDS)

    async def _read_one_stream(self) -> None:
        new_stream = await run_in_daemon_thread(_import_sdk, name="retunable-worker-import")
        self._stream = new_stream(self._activities)
        try:
            await self._stream.read()
        finally:
            await self._stream.close()


class Worker:
    """Takes work from the sidecar and dispatches to the agents that joined."""

    def __init__(self, *, agent_late_seconds: float = AGENT_LATE_SECONDS) -> None:
        self._agent_late_seconds = agent_late_seconds
        self._hosts: dict[AgentKey, Host | None] = {}
        self._readers: dict[asyncio.AbstractEventLoop, _Reader] = {}

    def join(self, key: AgentKey) -> None:
        """Take work on the running loop; an agent's steps wait until ``serve`` says who runs them.

        Raises:
            ConfigurationError: an agent of this name is started in this process already.
        """
        if key in self._hosts:
            raise ConfigurationError(
                f"an agent named {key[0]!r} in environment {key[1]!r} is started in this process "
                "already; give one of them another name"
            )
        self._hosts[key] = None
        loop = asyncio.get_running_loop()
        if loop not in self._readers:
            self._readers[loop] = _Reader(self)
        self._readers[loop].agents.add(key)

    def serve(self, key: AgentKey, host: Host) -> None:
        """Hand an agent's steps to its host from now on."""
        self._hosts[key] = host

    async def leave(self, key: AgentKey) -> None:
        """Give an agent's steps up; the last agent of a loop ends the work there."""
        self._hosts.pop(key, None)
        loop = asyncio.get_running_loop()
        reader = self._readers.get(loop)
        if reader is None:
            return
        reader.agents.discard(key)
        if not reader.agents:
            del self._readers[loop]
            await reader.close()

    async def model_step(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Run a model step on the loop of the agent that the run names."""
        host = await self._host(data)
        return await _run_on(host.loop, host.steps.model_step, data)

    async def tool_call(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Run a tool call on the loop of the agent that the run names."""
        host = await self._host(data)
        return await _run_on(host.loop, host.steps.tool_call, data)

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


async def _run_on(
    loop: asyncio.AbstractEventLoop,
    activity: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]],
    data: Mapping[str, Any],
) -> dict[str, Any]:
    """Run an activity on its agent's loop; a cancellation here reaches it there."""
    if loop is asyncio.get_running_loop():
        return await activity(data)

    async def call() -> dict[str, Any]:
        return await activity(data)

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), loop))


def _import_sdk() -> type[WorkStream]:
    """Import the SDK, which takes a fifth of a second."""
    from retunable.agent.loop.work_stream import WorkStream

    return WorkStream


_worker: Final = Worker()


def join_worker(key: AgentKey) -> Worker:
    """Add an agent of the running loop to the worker of this process."""
    _worker.join(key)
    return _worker


async def leave_worker(key: AgentKey) -> None:
    """Take an agent out again, on the loop on which it joined."""
    await _worker.leave(key)
