"""Sends events through the agent's own sidecar; never in the way of the agent.

Whoever has to be sure that an event arrives keeps it until ``publish`` says that the broker has
it. A broker that is away is said once, and once that it is back.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

import grpc
from dapr.proto.runtime.v1 import pubsub_pb2

from retunable.events.encoding import Encoded, encoded
from retunable.events.event import PUBSUB, TOPIC, Event

logger = logging.getLogger("retunable")

PUBLISH_SECONDS: Final = 2.0
_NO_COMPONENT: Final = (
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
)


class Link(Protocol):
    """A connection to a sidecar: the runtime's stub, and the metadata that calls carry."""

    @property
    def dapr(self) -> Any: ...

    @property
    def token(self) -> tuple[tuple[str, str], ...]: ...


class EventPublisher:
    """Publishes on ``retunable.events``, on the event loop of its link."""

    def __init__(self, link: Link, *, pubsub: str = PUBSUB) -> None:
        self._link = link
        self._pubsub = pubsub
        self._taken: bool | None = None

    async def publish(
        self,
        event: Event,
        *,
        lives_seconds: int | None = None,
        within_seconds: float = PUBLISH_SECONDS,
    ) -> bool:
        """Tell whether the broker has the event now; it forgets it after ``lives_seconds``."""
        return await self.publish_encoded(
            encoded(event), lives_seconds=lives_seconds, within_seconds=within_seconds
        )

    async def publish_encoded(
        self,
        event: Encoded,
        *,
        lives_seconds: int | None = None,
        within_seconds: float = PUBLISH_SECONDS,
    ) -> bool:
        """As ``publish``, for an event in the form that goes to the broker."""
        request = pubsub_pb2.PublishEventRequest(
            pubsub_name=self._pubsub,
            topic=TOPIC,
            data=event.data,
            data_content_type="application/json",
            metadata=_metadata(event, lives_seconds),
        )
        try:
            await self._link.dapr.PublishEvent(
                request, timeout=within_seconds, metadata=self._link.token
            )
        except grpc.aio.AioRpcError as error:
            self._refused(error)
            return False
        if self._taken is False:
            logger.info("events for the control plane are taken again")
        self._taken = True
        return True

    def _refused(self, error: grpc.aio.AioRpcError) -> None:
        first, self._taken = self._taken is not False, False
        if first:
            absent = error.code() in _NO_COMPONENT
            logger.log(
                logging.INFO if absent else logging.WARNING,
                "no event reaches the control plane: pub/sub %s does not take it (%s); the agent "
                "goes on without",
                self._pubsub,
                error.details() or error.code().name.lower(),
            )


def _metadata(event: Encoded, lives_seconds: int | None) -> Mapping[str, str]:
    named = {"cloudevent.id": event.event_id, "cloudevent.type": f"retunable.{event.kind}"}
    return named if lives_seconds is None else {**named, "ttlInSeconds": str(lives_seconds)}
