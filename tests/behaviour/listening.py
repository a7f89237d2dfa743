"""What arrives on the topic of events, read through a sidecar as the control plane reads it."""

from __future__ import annotations

import json
import queue
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Self

import grpc
from dapr.proto.runtime.v1 import appcallback_pb2, dapr_pb2_grpc, pubsub_pb2

from retunable.events.event import PUBSUB, TOPIC
from tests.behaviour.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json = dict[str, Any]
_STUB: Any = dapr_pb2_grpc.DaprStub
_DONE = appcallback_pb2.TopicEventResponse(status=appcallback_pb2.TopicEventResponse.SUCCESS)


class Listener:
    """A context manager; subscribes again whenever its stream ends."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._target = f"127.0.0.1:{environment['DAPR_GRPC_PORT']}"
        self._came: list[Json] = []
        self._opened = threading.Event()
        self._ending = threading.Event()
        self._call: Any = None

    def of(self, run_id: str) -> dict[str, list[Json]]:
        """Return a run's events by kind, each id once."""
        kinds: dict[str, dict[str, Json]] = defaultdict(dict)
        for event in list(self._came):
            if event.get("run_id") == run_id:
                kinds[event["kind"]][event["event_id"]] = event
        return {kind: list(events.values()) for kind, events in kinds.items()}

    def wait_for(self, run_id: str, kind: str, *, within_seconds: float = 40.0) -> Json:
        """Wait for the first event of a kind about a run."""
        found: list[Json] = eventually(
            lambda: self.of(run_id).get(kind, []),
            what=f"{kind} of run {run_id}",
            within_seconds=within_seconds,
        )
        return found[0]

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, name="listener", daemon=True).start()
        assert self._opened.wait(30)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ending.set()
        if self._call is not None:
            self._call.cancel()

    def _listen(self) -> None:
        while not self._ending.is_set():
            with grpc.insecure_channel(self._target) as channel:
                try:
                    self._read(channel)
                except grpc.RpcError:
                    self._ending.wait(0.1)

    def _read(self, channel: grpc.Channel) -> None:
        said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        first = pubsub_pb2.SubscribeTopicEventsRequestInitialAlpha1(pubsub_name=PUBSUB, topic=TOPIC)
        said.put(pubsub_pb2.SubscribeTopicEventsRequestAlpha1(initial_request=first))
        self._call = _STUB(channel).SubscribeTopicEventsAlpha1(_all_of(said))
        for reply in self._call:
            if reply.HasField("initial_response"):
                self._opened.set()
                continue
            self._came.append(json.loads(reply.event_message.data))
            done = pubsub_pb2.SubscribeTopicEventsRequestProcessedAlpha1(
                id=reply.event_message.id, status=_DONE
            )
            said.put(pubsub_pb2.SubscribeTopicEventsRequestAlpha1(event_processed=done))


def _all_of(said: queue.SimpleQueue[Any]) -> Iterator[Any]:
    while True:
        yield said.get()
