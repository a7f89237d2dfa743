"""The configuration store behind Dapr: the SDK's generated stubs on a channel of our own.

Every call has a deadline. What Dapr's status codes and texts mean is told in one place here;
daprd's own text goes on as the detail.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import grpc
import grpc.aio
from dapr.proto import api_service_v1, api_v1

from retunable.config.items import Item, StoreKind
from retunable.live.sidecar import SidecarEndpoint, channel, endpoint_from_environment
from retunable.live.store import (
    FailureKind,
    StoreDescription,
    StoreFailure,
    StreamEnded,
    TokenRefused,
)
from retunable.live.subscription import Timings

_KINDS: Final[Mapping[str, StoreKind]] = {
    "configuration.redis": "redis",
    "configuration.postgresql": "postgresql",
    "configuration.postgres": "postgresql",
    "configuration.sqlite": "sqlite",
}

# What daprd 1.18 says with INTERNAL where one value, not the store, is at fault.
_POISON_TEXTS: Final = ("invalid UTF-8", "cannot scan NULL", "cannot unmarshal")


class DaprConfigurationStore:
    """One configuration component of one sidecar.

    Without an ``endpoint`` it is where the environment says when it is first asked for.
    """

    def __init__(
        self,
        component: str,
        *,
        endpoint: SidecarEndpoint | None = None,
        timings: Timings | None = None,
    ) -> None:
        self._component = component
        self._told_endpoint = endpoint
        self._timings = timings or Timings()
        self._channel: grpc.aio.Channel | None = None
        self._open_stub: Any = None

    @cached_property
    def _endpoint(self) -> SidecarEndpoint:
        return self._told_endpoint or endpoint_from_environment()

    @property
    def address(self) -> str:
        """The sidecar's target and the component's name."""
        return f"{self._endpoint.target}/{self._component}"

    async def get(self, keys: Sequence[str]) -> Mapping[str, Item]:
        """Read items with GetConfiguration; never with an empty list, which means every key."""
        if not keys:
            raise ValueError("an empty list of keys would read the whole store")
        request = api_v1.GetConfigurationRequest(store_name=self._component, keys=keys)
        try:
            reply = await self._stub().GetConfiguration(
                request,
                timeout=self._timings.call_deadline_seconds,
                metadata=self._endpoint.metadata,
            )
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from error
        return {key: Item(item.value, item.version) for key, item in reply.items.items()}

    async def subscribe(self, keys: Sequence[str]) -> DaprHintStream:
        """Open SubscribeConfiguration and wait for its id, which comes before it listens."""
        if not keys:
            raise ValueError("an empty list of keys would subscribe to the whole store")
        request = api_v1.SubscribeConfigurationRequest(store_name=self._component, keys=keys)
        call = self._stub().SubscribeConfiguration(request, metadata=self._endpoint.metadata)
        stream = DaprHintStream(call)
        await stream.opened(within_seconds=self._timings.call_deadline_seconds)
        return stream

    async def describe(self) -> StoreDescription:
        """Ask GetMetadata which components daprd has loaded; it lists dead stores too."""
        try:
            reply = await self._stub().GetMetadata(
                api_v1.GetMetadataRequest(),
                timeout=self._timings.describe_deadline_seconds,
                metadata=self._endpoint.metadata,
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise TokenRefused(self._endpoint.token_refused) from error
            detail = f"{self._endpoint.target}: {_text(error)}"
            raise StoreFailure(FailureKind.SIDECAR_UNREACHABLE, detail) from error
        types = {part.name: part.type for part in reply.registered_components}
        kind = _KINDS.get(types.get(self._component, ""), "other")
        return StoreDescription(kind, present=self._component in types, app_id=reply.id)

    async def close(self) -> None:
        """Close the channel, which ends every stream on it."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = self._open_stub = None

    def _stub(self) -> Any:
        # Opened at the first call: a channel belongs to the event loop that runs then.
        if self._open_stub is None:
            self._channel = channel(self._endpoint)
            stub: Any = api_service_v1.DaprStub  # generated, without types
            self._open_stub = stub(self._channel)
        return self._open_stub


class DaprHintStream:
    """One SubscribeConfiguration call."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def opened(self, *, within_seconds: float) -> None:
        """Wait for the id message.

        Raises:
            StoreFailure: it did not come.
        """
        try:
            async with asyncio.timeout(within_seconds):
                first = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from error
        except TimeoutError:
            self.cancel()
            raise StoreFailure(FailureKind.DEADLINE, "the subscription sent no id") from None
        if first is grpc.aio.EOF:
            raise StoreFailure(
                FailureKind.SIDECAR_UNREACHABLE, "the subscription ended before its id"
            )

    async def hint(self) -> frozenset[str]:
        """Return the keys of the next message."""
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise StreamEnded(_text(error)) from error
        if message is grpc.aio.EOF:
            raise StreamEnded("ended by daprd (OK)")
        return frozenset(message.items)

    def cancel(self) -> None:
        """Cancel the call; daprd lets go of the store's connections."""
        self._call.cancel()


def _failure(error: grpc.aio.AioRpcError) -> StoreFailure:
    return StoreFailure(failure_kind(error.code(), error.details() or ""), _text(error))


def failure_kind(code: grpc.StatusCode, details: str) -> FailureKind:
    match code:
        case grpc.StatusCode.FAILED_PRECONDITION | grpc.StatusCode.INVALID_ARGUMENT:
            return FailureKind.COMPONENT_ABSENT
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return FailureKind.DEADLINE
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.UNAUTHENTICATED:
            return FailureKind.SIDECAR_UNREACHABLE
        case grpc.StatusCode.CANCELLED:
            return FailureKind.SIDECAR_UNREACHABLE
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return FailureKind.POISONED
        case _ if any(text in details for text in _POISON_TEXTS):
            return FailureKind.POISONED
        case _:
            return FailureKind.STORE_UNREACHABLE


def _text(error: grpc.aio.AioRpcError) -> str:
    # daprd repeats every key that was asked for.
    details = re.sub(r"\[[^\]]{40,}\]", "[…]", error.details() or "")
    return f"{error.code().name}: {details}"
