"""One sidecar: its files, stores and faces put together, started and stopped in order."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Final, Self

from retunable.config.package import PACKAGE_VERSION
from retunable.sidecar import configuration, messages, state
from retunable.sidecar.api.configuration import ConfigurationApi
from retunable.sidecar.api.grpc_server import GrpcServer, bind, make_grpc_server
from retunable.sidecar.api.messages import MessagesApi
from retunable.sidecar.api.metadata import MetadataApi
from retunable.sidecar.api.refusal import Rpc
from retunable.sidecar.api.secrets import SecretsApi
from retunable.sidecar.api.service import add_dapr_service
from retunable.sidecar.api.state import StateApi
from retunable.sidecar.change_watch import ChangeWatch
from retunable.sidecar.database import Database
from retunable.sidecar.facts import SidecarFacts, components
from retunable.sidecar.files import DataFiles
from retunable.sidecar.housekeeping import Housekeeping
from retunable.sidecar.http_face import HttpFace
from retunable.sidecar.lock import AppLock, Holder
from retunable.sidecar.pace import pace_for
from retunable.sidecar.resources import Resources, read_resources
from retunable.sidecar.settings import SidecarSettings
from retunable.sidecar.topics import Topics
from retunable.sidecar.workflow import schema
from retunable.sidecar.workflow.service import WorkflowService

log = logging.getLogger(__name__)

RUNTIME_VERSION: Final = f"retunable-embedded-{PACKAGE_VERSION}"
GRACE_SECONDS: Final = 2.0
"""How long results of workers are still awaited when the sidecar is asked to stop."""

CALLS_SECONDS: Final = 1.0
"""How long calls may take after that."""

MESSAGES_POLL_SECONDS: Final = 0.02
"""Where the system tells of no writes, messages of other processes come later than configuration."""


class EmbeddedSidecar:
    """The sidecar of one app id, on the running event loop.

    Everything that it serves stands on 127.0.0.1. Ports are known once it is started. ``now`` is
    the machine's clock, in nanoseconds since the epoch.
    """

    def __init__(
        self,
        settings: SidecarSettings,
        *,
        api_token: str | None = None,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self.settings = settings
        self._now = now
        self.grpc_port = 0
        self.http_port = 0
        self.resources = Resources()
        self._api_token = api_token
        self._stack = AsyncExitStack()
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the files and serve.

        Raises:
            SidecarRuns: another one serves this app id from this folder.
            ConfigurationError: a port is taken, or the component files cannot be used.
            DataUnusable: the data folder cannot be used.
        """
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()

    def ask_to_stop(self) -> None:
        """Have ``wait_until_asked_to_stop`` return."""
        self._stopping.set()

    async def wait_until_asked_to_stop(self) -> None:
        """Wait for ``ask_to_stop``, which an app can call over the API too (Shutdown)."""
        await self._stopping.wait()

    async def stop(self) -> None:
        """Refuse new calls, finish those that run, close the files; a few seconds at most."""
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        app_id = self.settings.app_id
        files = DataFiles(self.settings.data_dir.resolve(), app_id)
        resources = read_resources(self.settings.resources_path, app_id=app_id)
        self.resources = resources
        lock = AppLock.take(files)
        stack.callback(lock.release)
        stores = _Stores(files, stack)
        faces = _Faces(stores, resources, app_id=app_id, now=self._now, stop=self.ask_to_stop)
        await self._serve(faces, stack)
        sweeping = asyncio.create_task(stores.housekeeping(_seconds(self._now)).run())
        stack.callback(sweeping.cancel)
        lock.say(Holder(pid=os.getpid(), grpc_port=self.grpc_port, http_port=self.http_port))
        _say(self, files, resources)

    async def _serve(self, faces: _Faces, stack: AsyncExitStack) -> None:
        """Take both ports, then begin to answer on them."""
        server = make_grpc_server(api_token=self._api_token)
        add_dapr_service(server, faces.rpcs)
        faces.workflows.add_to(server)
        self.grpc_port = bind(server, self.settings.grpc_port)
        http = HttpFace(
            lambda: faces.facts().as_json(),
            secrets=self.resources.secrets,
            api_token=self._api_token,
        )
        self.http_port = await http.start(self.settings.http_port)
        stack.push_async_callback(http.stop)
        await faces.workflows.start()
        await server.start()
        stack.push_async_callback(faces.drain, server)


class _Faces:
    """Everything that answers calls, and what it says of itself."""

    def __init__(
        self,
        stores: _Stores,
        resources: Resources,
        *,
        app_id: str,
        now: Callable[[], int],
        stop: Callable[[], None],
    ) -> None:
        clock = _seconds(now)
        self._app_id = app_id
        self._components = components(resources)
        self._extended: dict[str, str] = {}
        self.workflows = WorkflowService(database=stores.state, app_id=app_id, now=now)
        self._topics = Topics(stores.messages, stores.messages_watch, app_id=app_id, clock=clock)
        self._configuration = ConfigurationApi(
            stores.configuration, stores.configuration_watch, stores=resources.configuration
        )
        messages_api = MessagesApi(
            stores.messages, self._topics, app_id=app_id, pubsubs=resources.pubsub, clock=clock
        )
        self.rpcs: Mapping[str, Rpc] = {
            **self._configuration.rpcs,
            **StateApi(stores.state, stores=resources.state, clock=clock).rpcs,
            **SecretsApi(resources.secrets).rpcs,
            **messages_api.rpcs,
            **MetadataApi(self.facts, self._extended, stop=stop).rpcs,
        }

    def facts(self) -> SidecarFacts:
        """Say how things stand now."""
        return SidecarFacts(
            app_id=self._app_id,
            runtime_version=RUNTIME_VERSION,
            components=self._components,
            workers=self.workflows.connected_workers,
            topics=self._topics.read,
            extended=self._extended,
        )

    async def drain(self, server: GrpcServer) -> None:
        """End what is open, then the server.

        Workers first: what they have done is still taken, and their Hello fails from then on.
        """
        await self.workflows.stop(GRACE_SECONDS)
        self._configuration.end_subscriptions()
        self._topics.end()
        await server.stop(CALLS_SECONDS)


class _Stores:
    """The three files of one sidecar, closed in the order opposite to their opening."""

    def __init__(self, files: DataFiles, stack: AsyncExitStack) -> None:
        self.state = Database.open(files.state, [state.SCHEMA, schema.SCHEMA])
        stack.callback(self.state.close)
        self.configuration = Database.open(
            files.configuration, [configuration.SCHEMA], replaceable=True
        )
        stack.callback(self.configuration.close)
        self.messages = Database.open(files.messages, [messages.SCHEMA], replaceable=True)
        stack.callback(self.messages.close)
        self.configuration_watch = ChangeWatch(files.configuration)
        self.messages_watch = ChangeWatch(
            files.messages, pace=partial(pace_for, poll_seconds=MESSAGES_POLL_SECONDS)
        )

    def housekeeping(self, clock: Callable[[], float]) -> Housekeeping:
        return Housekeeping(state=self.state, messages=self.messages, clock=clock)


def _seconds(now: Callable[[], int]) -> Callable[[], float]:
    return lambda: now() / 1e9


def _say(sidecar: EmbeddedSidecar, files: DataFiles, resources: Resources) -> None:
    log.info(
        "action=started app_id=%s grpc_port=%d http_port=%d data=%s: the embedded sidecar, for one "
        "machine; for more take Dapr (https://docs.dapr.io)",
        files.app_id,
        sidecar.grpc_port,
        sidecar.http_port,
        files.folder,
    )
    if resources.stood_in or resources.left_out:
        log.info(
            "action=resources kept in SQLite instead: %s; left to Dapr: %s",
            ", ".join(map(str, resources.stood_in)) or "nothing",
            ", ".join(map(str, resources.left_out)) or "nothing",
        )
