"""The gRPC face: the callback server that daprd calls with ``--app-protocol grpc``, on the SDK's App.

Decides where it listens and how a call of gRPC's threads reaches the agent's event loop. Who is
let in is decided by ``grpc_guard``, what is asked and answered by ``invocations`` and
``topic_requests``.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

from dapr.ext.grpc import App, InvokeMethodRequest, SubscriptionMessage, TopicEventResponse

from retunable.errors import ConfigurationError, Unavailable
from retunable.live.health import Status
from retunable.serve.grpc_guard import (
    TOKEN_VARIABLE,
    Guard,
    TooManyWaiting,
    check_exposure,
    current_call,
)
from retunable.serve.invocations import Invocations, Metadata
from retunable.serve.listening import Address
from retunable.serve.publishing import DaprPublisher
from retunable.serve.served import ServedAgent
from retunable.serve.topic_requests import Event, Publisher, TopicRequests

PUBSUB: Final = "pubsub"
REQUESTS_TOPIC: Final = "agent.requests"
ANSWERS_TOPIC: Final = "agent.answers"
THREADS: Final = 64
MOST_WAITING: Final = 48
"""Runs that hold a thread; the others are for what answers at once, health above all."""
DRAIN_SECONDS: Final = 1.0

_T = TypeVar("_T")


@asynccontextmanager
async def serve_grpc(
    agent: ServedAgent, address: Address, *, publisher: Publisher | None = None
) -> AsyncIterator[str]:
    """Serve an agent to its sidecar as long as the block runs; yield the address.

    Where ``APP_API_TOKEN`` is set every call must carry it, except those that daprd sends
    without; without it only a loopback address is served.

    Raises:
        ConfigurationError: the address cannot be used.
    """
    token = os.environ.get(TOKEN_VARIABLE) or None
    check_exposure(address, token)
    async with AsyncExitStack() as stack:
        if publisher is None:
            publisher = DaprPublisher(PUBSUB, ANSWERS_TOPIC)
            stack.push_async_callback(publisher.close)
        requests = TopicRequests(agent, publisher)
        stack.push_async_callback(requests.close)
        server = _Server(token)
        _register(server, agent, requests, _Bridge(asyncio.get_running_loop()))
        port = server.begin(address)
        stack.push_async_callback(server.end)
        yield f"{address.host}:{port}"


class _Server(App):
    """The SDK's app with a beginning that fails where it must and an end that can be awaited."""

    def __init__(self, token: str | None) -> None:
        self._threads = concurrent.futures.ThreadPoolExecutor(
            THREADS, thread_name_prefix="retunable-grpc"
        )
        super().__init__(
            thread_pool=self._threads,
            interceptors=(Guard(token),),
            # Else a second agent would listen on the port of the first, each with half the calls.
            options=(("grpc.so_reuseport", 0),),
        )

    def begin(self, address: Address) -> int:
        """Listen, and return the port."""
        try:
            port: int = self._server.add_insecure_port(address.target)
        except RuntimeError as error:
            raise ConfigurationError(
                f"cannot serve gRPC on {address.target}: another program listens there, or the "
                "address is not this machine's; start dapr with another --app-port"
            ) from error
        self._server.start()
        return port

    async def end(self) -> None:
        """Take no more calls, and cut off those that are not done after a moment."""
        ended: threading.Event = self._server.stop(DRAIN_SECONDS)
        await asyncio.to_thread(ended.wait, 2 * DRAIN_SECONDS)
        self._threads.shutdown(wait=False)


class _Bridge:
    """Carries calls from gRPC's threads to the agent's event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._places = threading.BoundedSemaphore(MOST_WAITING)

    def ask(self, question: Coroutine[Any, Any, _T]) -> _T:
        """Wait for the agent; a caller that goes away ends the wait, not the run."""
        asked = asyncio.run_coroutine_threadsafe(question, self._loop)

        def cut_off() -> None:
            asked.cancel()

        if not current_call().add_callback(cut_off):
            cut_off()
        return asked.result()

    def ask_long(self, question: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Wait for a run, if not too many do already."""
        if not self._places.acquire(blocking=False):
            raise TooManyWaiting(MOST_WAITING)
        try:
            return self.ask(question())
        finally:
            self._places.release()


def _register(app: Any, agent: ServedAgent, requests: TopicRequests, bridge: _Bridge) -> None:
    invocations = Invocations(agent)

    def run(request: InvokeMethodRequest) -> str:
        return bridge.ask_long(lambda: invocations.run(request.data, _metadata(request)))

    def status(request: InvokeMethodRequest) -> str:
        return bridge.ask(invocations.status(request.data, _metadata(request)))

    def config(request: InvokeMethodRequest) -> str:
        return bridge.ask(invocations.config(request.data, _metadata(request)))

    def requested(event: SubscriptionMessage) -> TopicEventResponse:
        outcome = bridge.ask_long(lambda: requests.handle(_event(event)))
        return TopicEventResponse(outcome.value)

    def healthy() -> None:
        status = agent.status
        if status.state not in (Status.READY, Status.STALE):
            raise Unavailable(f"{status.state.name}: {status.detail}", part="configuration store")

    for method in (run, status, config):
        app.method(method.__name__)(method)
    app.subscribe(PUBSUB, REQUESTS_TOPIC)(requested)
    app.register_health_check(healthy)


def _metadata(request: InvokeMethodRequest) -> Metadata:
    return {name: [str(value) for value in values] for name, values in request.metadata.items()}


def _event(message: Any) -> Event:
    return Event(
        id=message.id(),
        source=message.source(),
        data=message.raw_data(),
        content_type=message.data_content_type(),
        metadata={name: [str(value)] for name, value in message.metadata().items()},
    )
