"""A topic's messages by Dapr's streaming subscription: no port of ours, on daprd and embedded alike.

A message that is not acknowledged comes again, after a reconnect at the latest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import grpc
from dapr.proto.runtime.v1 import appcallback_pb2, dapr_pb2_grpc, pubsub_pb2

from retunable.control.intake import Message
from retunable.errors import Unavailable
from retunable.live.sidecar import channel, endpoint_from_environment

OPEN_SECONDS: Final = 5.0
BATCH: Final = 500
QUEUED: Final = 2_000

# A generated class without annotations.
_DAPR: Any = dapr_pb2_grpc.DaprStub


class Subscription:
    """One topic, on the event loop on which it is made; one stream at a time."""

    def __init__(self, *, pubsub: str, topic: str) -> None:
        endpoint = endpoint_from_environment()
        self._pubsub, self._topic = pubsub, topic
        self._token = endpoint.metadata
        self._channel = channel(endpoint)
        self._dapr = _DAPR(self._channel)

    async def open(self) -> TopicStream:
        """Begin to get messages.

        Raises:
            Unavailable: the sidecar, or the pub/sub component behind it, is away.
        """
        call = self._dapr.SubscribeTopicEventsAlpha1(metadata=self._token)
        first = pubsub_pb2.SubscribeTopicEventsRequestInitialAlpha1(
            pubsub_name=self._pubsub, topic=self._topic
        )
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await call.write(
                    pubsub_pb2.SubscribeTopicEventsRequestAlpha1(initial_request=first)
                )
                opened = await call.read()
        except TimeoutError:
            call.cancel()
            raise self._away("it does not answer", part="sidecar") from None
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise await self._refused(call, error) from error
        if opened is grpc.aio.EOF:
            raise self._away("it ended at once", part="component")
        return TopicStream(call)

    async def close(self) -> None:
        """Close the channel, which ends the stream on it."""
        await self._channel.close(grace=None)

    async def _refused(self, call: Any, error: Exception) -> Unavailable:
        code, said = await call.code(), await call.details()
        gone = code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        return self._away(said or str(error), part="sidecar" if gone else "component")

    def _away(self, said: str, *, part: str) -> Unavailable:
        where = f"topic {self._topic} of pub/sub {self._pubsub}"
        return Unavailable(f"{where} cannot be read: {said}", part=part)


class TopicStream:
    """An open subscription."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._came: asyncio.Queue[Message | None] = asyncio.Queue(QUEUED)
        self._reading = asyncio.create_task(self._read(), name="retunable control messages")
        self._why = "ended by the sidecar"

    async def batch(self) -> Sequence[Message]:
        """Wait for messages and return all that have come, at most ``BATCH``; none at the end."""
        found: list[Message] = []
        while not found or (len(found) < BATCH and not self._came.empty()):
            message = await self._came.get()
            if message is None:
                self._came.put_nowait(None)  # the end stays the end
                break
            found.append(message)
        return found

    @property
    def why(self) -> str:
        """Why it ended."""
        return self._why

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Say that messages are done with; on a stream that has ended they come again."""
        done = appcallback_pb2.TopicEventResponse(status=appcallback_pb2.TopicEventResponse.SUCCESS)
        try:
            for message in messages:
                processed = pubsub_pb2.SubscribeTopicEventsRequestProcessedAlpha1(
                    id=message.id, status=done
                )
                await self._call.write(
                    pubsub_pb2.SubscribeTopicEventsRequestAlpha1(event_processed=processed)
                )
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            self._why = str(error)

    async def close(self) -> None:
        """End it; what is not acknowledged comes again."""
        self._call.cancel()
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        try:
            while (reply := await self._call.read()) is not grpc.aio.EOF:
                event = reply.event_message
                await self._came.put(Message(event.id, event.data))
        except grpc.aio.AioRpcError as error:
            self._why = f"{error.code().name}: {error.details()}"
        finally:
            if self._came.full():
                self._came.get_nowait()  # not acknowledged, so it comes again
            self._came.put_nowait(None)
