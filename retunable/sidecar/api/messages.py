"""Dapr's publishing and streaming subscription on the file of messages."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any, Final

import grpc
from dapr.proto.runtime.v1 import appcallback_pb2, pubsub_pb2
from google.protobuf import empty_pb2

from retunable.sidecar.api.refusal import (
    Context,
    Refusal,
    Rpc,
    answering,
    send,
    streaming,
    unknown_name,
)
from retunable.sidecar.cloud_event import CloudEvent, NoCloudEvent, Published, wrap
from retunable.sidecar.database import Database
from retunable.sidecar.messages import Message, Topic, publish
from retunable.sidecar.topics import Stream, Topics

log = logging.getLogger(__name__)

# Attributes that have a field of their own in the message.
_STANDARD: Final = frozenset({"id", "source", "type", "specversion", "datacontenttype"})
_TRACE: Final = ("traceparent", "tracestate")


class MessagesApi:
    """The pub/sub components of one app; ``clock`` gives seconds since the epoch."""

    def __init__(
        self,
        database: Database,
        topics: Topics,
        *,
        app_id: str,
        pubsubs: Collection[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._topics = topics
        self._app_id = app_id
        self._pubsubs = pubsubs
        self._clock = clock

    @property
    def rpcs(self) -> Mapping[str, Rpc]:
        """The RPCs of Dapr that this serves."""
        bulk = answering(self._publish_bulk)
        return {
            "PublishEvent": answering(self._publish),
            "BulkPublishEvent": bulk,
            "BulkPublishEventAlpha1": bulk,
            "SubscribeTopicEventsAlpha1": streaming(self._subscribe),
        }

    async def _publish(self, request: Any, context: Context) -> Any:
        topic = self._known(request.pubsub_name, request.topic)
        event = self._wrapped(
            topic,
            data=request.data,
            content_type=request.data_content_type,
            metadata=dict(request.metadata),
            context=context,
        )
        await self._keep(topic, [event])
        return empty_pb2.Empty()

    async def _publish_bulk(self, request: Any, context: Context) -> Any:
        topic = self._known(request.pubsub_name, request.topic)
        ids = [entry.entry_id for entry in request.entries]
        if len(set(ids)) < len(ids) or "" in ids:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"error marshaling events to bytes for topic {topic.name} pubsub {topic.pubsub}. "
                "error: entryId is duplicated or not present for entry",
            )
        events = [
            self._wrapped(
                topic,
                data=entry.event,
                content_type=entry.content_type,
                metadata={**request.metadata, **entry.metadata},
                context=context,
            )
            for entry in request.entries
        ]
        await self._keep(topic, events)
        return pubsub_pb2.BulkPublishResponse()

    async def _keep(self, topic: Topic, events: Sequence[CloudEvent]) -> None:
        now = self._clock()
        await self._database.write(lambda c: publish(c, topic, events, now=now))

    async def _subscribe(self, requests: AsyncIterator[Any], context: Context) -> None:
        """Answer the first request, then send messages until the app ends the stream."""
        initial = (
            await anext(requests, pubsub_pb2.SubscribeTopicEventsRequestAlpha1())
        ).initial_request
        topic = self._known(initial.pubsub_name, initial.topic)
        async with self._topics.stream(topic) as stream:
            answers = asyncio.create_task(
                self._take_answers(requests, stream, dead_letter=initial.dead_letter_topic)
            )
            try:
                opened = pubsub_pb2.SubscribeTopicEventsResponseInitialAlpha1()
                await send(
                    context,
                    pubsub_pb2.SubscribeTopicEventsResponseAlpha1(initial_response=opened),
                )
                while (message := await stream.next()) is not None:
                    await send(context, _event_message(topic, message))
            finally:
                answers.cancel()

    async def _take_answers(
        self, requests: AsyncIterator[Any], stream: Stream, *, dead_letter: str
    ) -> None:
        """Note what the app says of each message, until it says no more."""
        try:
            async for request in requests:
                processed = request.event_processed
                message = _held(stream, processed.id)
                if message is None:
                    log.warning("action=unknown_answer event=%s", processed.id)
                    continue
                await self._settle(stream, message, processed.status.status, dead_letter)
        finally:
            stream.end()

    async def _settle(
        self, stream: Stream, message: Message, status: int, dead_letter: str
    ) -> None:
        match status:
            case appcallback_pb2.TopicEventResponse.SUCCESS:
                await stream.done(message)
            case appcallback_pb2.TopicEventResponse.DROP:
                log.warning("action=dropped event=%s", message.event.attributes.get("id"))
                if dead_letter:
                    topic = Topic(stream.topic.pubsub, dead_letter)
                    await self._keep(topic, [message.event])
                await stream.done(message)
            case _:
                await stream.again(message)

    def _wrapped(
        self,
        topic: Topic,
        *,
        data: bytes,
        content_type: str,
        metadata: Mapping[str, str],
        context: Context,
    ) -> CloudEvent:
        published = Published(
            pubsub=topic.pubsub,
            topic=topic.name,
            data=data,
            content_type=content_type,
            metadata=metadata,
            trace=_trace(context),
        )
        try:
            return wrap(published, app_id=self._app_id, new_id=str(uuid.uuid4()), now=self._clock())
        except NoCloudEvent as error:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"cannot create cloudevent for topic {topic.name} pubsub {topic.pubsub}: {error}",
            ) from error

    def _known(self, pubsub: str, topic: str) -> Topic:
        if not pubsub:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "pubsub name is empty")
        if pubsub not in self._pubsubs:
            raise unknown_name("pubsub", pubsub, self._pubsubs, ending="is not found")
        if not topic:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"topic is empty in pubsub {pubsub}")
        return Topic(pubsub, topic)


def _held(stream: Stream, event_id: str) -> Message | None:
    """Return the oldest message of this event id: a publisher may use one twice."""
    held = stream.held.values()
    return next((m for m in held if m.event.attributes.get("id") == event_id), None)


def _event_message(topic: Topic, message: Message) -> Any:
    attributes = message.event.attributes
    event = appcallback_pb2.TopicEventRequest(
        id=attributes.get("id", ""),
        source=attributes.get("source", ""),
        type=attributes.get("type", ""),
        spec_version=attributes.get("specversion", ""),
        data_content_type=attributes.get("datacontenttype", ""),
        data=message.event.data,
        topic=topic.name,
        pubsub_name=topic.pubsub,
        path="/",
    )
    event.extensions.update({n: v for n, v in attributes.items() if n not in _STANDARD})
    return pubsub_pb2.SubscribeTopicEventsResponseAlpha1(event_message=event)


def _trace(context: Context) -> dict[str, str]:
    given: Any = context.invocation_metadata() or ()
    return {name: value for name, value in given if name in _TRACE and isinstance(value, str)}
