"""The channel of one agent to its sidecar, and what the sidecar says of its parts.

What the sidecar said is believed for ``BELIEVED_SECONDS``, and asked once for all who wait.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import grpc
from dapr.proto.runtime.v1 import dapr_pb2_grpc, metadata_pb2

from retunable.agent.own_sidecar import own_sidecar
from retunable.agent.sidecar_parts import SidecarParts
from retunable.errors import Unavailable
from retunable.live.sidecar import channel, endpoint_from_environment

PROBE_SECONDS: Final = 1.0
BELIEVED_SECONDS: Final = 0.5

# A generated class without annotations.
_DAPR: Any = dapr_pb2_grpc.DaprStub


class SidecarLink:
    """One channel on one event loop; ``dapr`` is the runtime's stub, ``token`` goes with calls."""

    def __init__(self) -> None:
        endpoint = endpoint_from_environment()
        self.token = endpoint.metadata
        self._token_refused = endpoint.token_refused
        self.channel = channel(endpoint)
        self.dapr = _DAPR(self.channel)
        self.closed = False
        self._parts: SidecarParts | None = None
        self._asked_at = 0.0
        self._asking: asyncio.Task[SidecarParts] | None = None

    async def parts(self) -> SidecarParts:
        """Return which parts a sidecar has, as it said at most ``BELIEVED_SECONDS`` ago.

        Raises:
            Unavailable: the sidecar does not answer.
        """
        if self._parts is not None and time.monotonic() - self._asked_at < BELIEVED_SECONDS:
            return self._parts
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    def doubt(self) -> None:
        """Believe nothing that was said before."""
        self._parts = None

    async def close(self) -> None:
        """Close the channel; calls on it are cancelled."""
        self.closed = True
        await self.channel.close(grace=None)

    async def _ask(self) -> SidecarParts:
        asked_at = time.monotonic()
        try:
            reply = await self._metadata()
        except grpc.aio.AioRpcError as error:
            self._parts = None
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise Unavailable(self._token_refused, part="sidecar") from error
            raise sidecar_away(error) from error
        stores = [c.name for c in reply.registered_components if "ACTOR" in c.capabilities]
        parts = SidecarParts(
            placement=reply.actor_runtime.host_ready,
            scheduler=bool(reply.scheduler.connected_addresses),
            state_store=stores[0] if stores else None,
            workers=reply.workflows.connected_workers,
        )
        # A part that is missing may be there a moment later: only a whole answer is believed.
        self._parts = parts if parts.missing() is None else None
        self._asked_at = asked_at
        return parts

    async def _metadata(self) -> Any:
        """Ask, and where there is no connection, once more as soon as there is one.

        A channel that found nobody fails every call until its next try, up to 0.84 s later: a
        sidecar that is there by now would be said to be away.
        """
        began = time.monotonic()
        request = metadata_pb2.GetMetadataRequest()
        try:
            return await self.dapr.GetMetadata(request, timeout=PROBE_SECONDS, metadata=self.token)
        except grpc.aio.AioRpcError as error:
            left_seconds = began + PROBE_SECONDS - time.monotonic()
            if error.code() is not grpc.StatusCode.UNAVAILABLE or left_seconds <= 0:
                raise
            unavailable = error
        try:
            return await self.dapr.GetMetadata(
                request, timeout=left_seconds, metadata=self.token, wait_for_ready=True
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise unavailable from error
            raise


def sidecar_away(error: grpc.aio.AioRpcError) -> Unavailable:
    """Say that the sidecar does not answer."""
    said = error.code().name.lower()
    if own_sidecar.kept is not None:
        return Unavailable(
            f"the embedded sidecar does not answer ({said}); it is started again by itself",
            part="sidecar",
        )
    return Unavailable(
        f"the Dapr sidecar does not answer ({said}); start the program with `dapr run`",
        part="sidecar",
    )
