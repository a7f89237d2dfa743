"""The HTTP server of one agent: an app of its own, run by uvicorn on the agent's event loop.

Decides address and lifetime. Signals belong to whoever runs the agent.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from retunable.config.package import PACKAGE_VERSION
from retunable.errors import ConfigurationError
from retunable.serve.address import AGENTS_FOLDER, AgentRecord, announced
from retunable.serve.gate import TOKEN_VARIABLE, Gate, check_exposure
from retunable.serve.listening import LOCAL, Address
from retunable.serve.problems import response_to
from retunable.serve.routes import router
from retunable.serve.served import ServedAgent

DEFAULT_PORT: Final = 8765
DEFAULT_ADDRESS: Final = f"{LOCAL}:{DEFAULT_PORT}"
# A run goes on by itself when its request is dropped, so nobody needs to wait long for one.
DRAIN_SECONDS: Final = 2
BACKLOG: Final = 256

log = logging.getLogger(__name__)


def application(agent: ServedAgent, *, token: str | None = None) -> FastAPI:
    """Return the whole app of one agent; ``token`` is what callers must send, if anything."""
    app = FastAPI(
        title=f"Retunable agent {agent.declaration.agent}",
        version=PACKAGE_VERSION,
        # The pages would load their scripts from elsewhere; /openapi.json stays.
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(router(agent))
    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _as_problem)
    app.add_middleware(Gate, token=token)
    return app


@asynccontextmanager
async def serve_http(
    agent: ServedAgent,
    address: str = DEFAULT_ADDRESS,
    *,
    component: str | None = None,
    agents_folder: Path = AGENTS_FOLDER,
) -> AsyncIterator[str]:
    """Serve an agent as long as the block runs; yield the URL.

    The agent's record lies in ``agents_folder`` meanwhile; ``component`` is what it says of the
    agent's configuration store. Where ``RETUNABLE_HTTP_TOKEN`` is
    set it is asked of every caller; without it only a loopback address is served.

    Raises:
        ConfigurationError: the address cannot be used.
    """
    token = os.environ.get(TOKEN_VARIABLE) or None
    wanted = Address.parse(address, default_port=DEFAULT_PORT)
    check_exposure(wanted, token)
    listener = _listen(wanted)
    url = Address(wanted.host, listener.getsockname()[1]).url
    server = _Server(
        uvicorn.Config(
            application(agent, token=token),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="retunable-http")
    serving.add_done_callback(server.ended)
    try:
        await server.ready.wait()
        if serving.done():
            await serving
        record = AgentRecord.of_this_process(agent.declaration, url=url, component=component)
        with announced(record, agents_folder):
            yield url
    finally:
        server.should_exit = True
        await asyncio.wait([serving])
        listener.close()


class _Server(uvicorn.Server):
    """uvicorn's server without its hold on signals, and with an event for its readiness."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    def ended(self, serving: asyncio.Task[None]) -> None:
        """Say so where the server ended though nobody asked it to."""
        self.ready.set()
        if self.should_exit:
            return
        cause = None if serving.cancelled() else serving.exception()
        log.error("the HTTP server ended by itself; the agent runs on without it", exc_info=cause)


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named: without this each answer
    # of two packets waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A restarted agent takes its port back at once, though old connections linger.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(_why_not(address, error)) from error
    listener.setblocking(False)
    return listener


def _why_not(address: Address, error: OSError) -> str:
    where = f"{address.host}:{address.port}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"cannot serve on {where}: another program listens there (another agent?); "
            "serve on another port, or on port 0 for any free one (agent.py takes RETUNABLE_HTTP)"
        )
    return f"cannot serve on {where}: {error.strerror or error}; serve on {DEFAULT_ADDRESS}"


async def _as_problem(_request: Request, error: Exception) -> Response:
    return response_to(error)
