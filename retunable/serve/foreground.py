"""An agent as a whole program: start, serve, wait for SIGTERM or SIGINT, stop.

``dapr run`` kills daprd before it sends SIGTERM, so nothing here may need the sidecar.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final, Literal

from retunable.agent.durable_agent import DurableAgent
from retunable.agent.own_sidecar import a_sidecar, embedded_app_id, own_sidecar
from retunable.errors import ConfigurationError, Unavailable
from retunable.serve.address import AgentRecord, running_agents
from retunable.serve.app_port import app_address
from retunable.serve.hints import hints
from retunable.serve.listening import Address
from retunable.sidecar.environment import sidecar_is_named

_log = logging.getLogger("retunable")

EXIT_SECONDS: Final = 5.0
SERVE_AFTER_SECONDS: Final = 2.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def run_forever(
    agent: DurableAgent, *, http: str | None = None, grpc: str | None = None
) -> None:
    """Run an agent until the process gets SIGTERM or SIGINT.

    ``http`` is an address to serve on, like ``127.0.0.1:8765``; None for no HTTP face. ``grpc``
    is where daprd calls the agent back; None takes ``--app-port`` of a ``dapr run
    --app-protocol grpc``, and without one nothing is served. A start that waits for its sidecar
    does not keep the faces from answering.

    Raises:
        SystemExit: with the exit code 1, where what was declared cannot work or the sidecar never
            answered; the log says which, and names the fix.
    """
    try:
        if (other := _same_sidecar(agent)) is not None:
            raise ConfigurationError(
                f"{other.agent} runs in this folder already (pid {other.pid}, {other.url}); stop "
                "it first, or start this one in another folder"
            )
        await _run(agent, http=http, callbacks=app_address(grpc))
    except (ConfigurationError, Unavailable) as error:
        _log.error("Agent %s ends: %s", agent.name, error)
        raise SystemExit(1) from error


def _same_sidecar(agent: DurableAgent) -> AgentRecord | None:
    """Return who has the embedded sidecar that this agent would start, where that is known."""
    if sidecar_is_named():
        return None
    app_id = embedded_app_id(agent.declaration.document_key)
    return next((other for other in running_agents() if other.app_id == app_id), None)


async def _run(agent: DurableAgent, *, http: str | None, callbacks: Address | None) -> None:
    async with AsyncExitStack() as stack:
        told = await stack.enter_async_context(told_to_end())
        waiting = asyncio.create_task(told.wait())
        stack.callback(waiting.cancel)
        # Before all else: what the faces say of the sidecar is read from the environment.
        await stack.enter_async_context(a_sidecar(app_id=agent.declaration.document_key))
        starting = asyncio.create_task(agent.start())
        stack.push_async_callback(_stop, agent, starting)
        if callbacks is not None:
            # At once: a daprd with an app port is not ready before somebody listens there.
            where = await stack.enter_async_context(_callback_server(agent, callbacks))
            _log.info("Agent %s answers its sidecar on %s", agent.name, where)
        await _until(starting, waiting, within_seconds=SERVE_AFTER_SECONDS)
        if http is not None and not told.is_set():
            from retunable.serve.http import serve_http  # an extra of the package

            component = agent.configuration.store if agent.configuration else None
            face = serve_http(agent, address=http, component=component)
            url = await stack.enter_async_context(face)
            _log.info("Agent %s answers on %s", agent.name, url)
            for hint in hints() if own_sidecar.kept and agent.configuration else ():
                _log.info(hint)
        await _until(starting, waiting)
        await waiting
        _log.info("Agent %s is stopping", agent.name)
        _exit_for_certain()


def _callback_server(agent: DurableAgent, address: Address) -> AbstractAsyncContextManager[str]:
    try:
        from retunable.serve.grpc_app import serve_grpc  # an extra of the package
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("retunable", "dapr")):
            raise
        raise ConfigurationError(
            f'the gRPC face needs the package {error.name!r}: pip install "retunable[grpc]"'
        ) from error
    return serve_grpc(agent, address)


async def _until(
    starting: asyncio.Task[None],
    waiting: asyncio.Task[Literal[True]],
    *,
    within_seconds: float | None = None,
) -> None:
    """Wait until the agent has started or the process is told to end; raise why it did not."""
    await asyncio.wait(
        [starting, waiting], timeout=within_seconds, return_when=asyncio.FIRST_COMPLETED
    )
    if starting.done():
        starting.result()


async def _stop(agent: DurableAgent, starting: asyncio.Task[None]) -> None:
    if not starting.done():
        starting.cancel()
        await asyncio.wait([starting])
    await agent.stop()


@asynccontextmanager
async def told_to_end() -> AsyncIterator[asyncio.Event]:
    """Set an event at the first signal; a second one ends the process as usual."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        told.set()
        _remove_handlers(loop)

    for number in _SIGNALS:
        loop.add_signal_handler(number, tell)
    try:
        yield told
    finally:
        _remove_handlers(loop)


def _remove_handlers(loop: asyncio.AbstractEventLoop) -> None:
    for number in _SIGNALS:
        loop.remove_signal_handler(number)


def _exit_for_certain() -> None:
    """End the process after ``EXIT_SECONDS`` whatever still runs.

    A thread of a program's own may be no daemon, and calls to a hung daprd last up to 30 s.
    """

    def end() -> None:
        _log.warning("some threads did not end within %g s; ending without them", EXIT_SECONDS)
        logging.shutdown()
        os._exit(0)

    timer = threading.Timer(EXIT_SECONDS, end)
    timer.daemon = True
    timer.start()
