"""Publishes answers through the sidecar's pub/sub, on a channel of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import grpc
from dapr.proto.runtime.v1 import dapr_pb2_grpc, pubsub_pb2

from retunable.errors import Unavailable
from retunable.live.sidecar import channel, endpoint_from_environment

PUBLISH_SECONDS: Final = 10.0

# A generated class without annotations.
_DAPR: Any = dapr_pb2_grpc.DaprStub


class DaprPublisher:
    """One topic of one pub/sub component, on the event loop on which it is made."""

    def __init__(self, pubsub: str, topic: str) -> None:
        endpoint = endpoint_from_environment()
        self._pubsub, self._topic = pubsub, topic
        self._token = endpoint.metadata
        self._channel = channel(endpoint)
        self._dapr = _DAPR(self._channel)

    async def publish(self, data: bytes, *, metadata: Mapping[str, str]) -> None:
        """Publish JSON; the broker has it when this returns.

        Raises:
            Unavailable: the sidecar or its pub/sub does not take it now.
        """
        event = pubsub_pb2.PublishEventRequest(
            pubsub_name=self._pubsub,
            topic=self._topic,
            data=data,
            data_content_type="application/json",
            metadata=metadata,
        )
        try:
            await self._dapr.PublishEvent(event, timeout=PUBLISH_SECONDS, metadata=self._token)
        except grpc.aio.AioRpcError as error:
            where = f"topic {self._topic} of {self._pubsub}"
            raise Unavailable(
                f"the sidecar does not publish on {where} ({error.details()})", part="component"
            ) from error

    async def close(self) -> None:
        """Close the channel; a call on it is cancelled."""
        await self._channel.close(grace=None)
