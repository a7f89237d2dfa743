"""Dapr's metadata, and the request to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dapr.proto.runtime.v1 import metadata_pb2
from google.protobuf import empty_pb2

from retunable.sidecar.api.refusal import Context, Rpc, answering
from retunable.sidecar.facts import COMPONENT_VERSION, PLACEMENT, SCHEDULER, SidecarFacts


class MetadataApi:
    """What the sidecar says of itself; ``extended`` is what an app adds to it."""

    def __init__(
        self,
        facts: Callable[[], SidecarFacts],
        extended: dict[str, str],
        *,
        stop: Callable[[], None],
    ) -> None:
        self._facts = facts
        self._extended = extended
        self._stop = stop

    @property
    def rpcs(self) -> Mapping[str, Rpc]:
        """The RPCs of Dapr that this serves."""
        return {
            "GetMetadata": answering(self._get),
            "SetMetadata": answering(self._set),
            "Shutdown": answering(self._shutdown),
        }

    async def _get(self, _request: Any, _: Context) -> Any:
        facts = self._facts()
        running = metadata_pb2.ActorRuntime.ActorRuntimeStatus.RUNNING
        return metadata_pb2.GetMetadataResponse(
            id=facts.app_id,
            runtime_version=facts.runtime_version,
            registered_components=[
                metadata_pb2.RegisteredComponents(
                    name=c.name, type=c.type, version=COMPONENT_VERSION, capabilities=c.capabilities
                )
                for c in facts.components
            ],
            extended_metadata={"daprRuntimeVersion": facts.runtime_version, **facts.extended},
            subscriptions=[
                metadata_pb2.PubsubSubscription(
                    pubsub_name=topic.pubsub,
                    topic=topic.name,
                    type=metadata_pb2.PubsubSubscriptionType.STREAMING,
                )
                for topic in facts.topics
            ],
            actor_runtime=metadata_pb2.ActorRuntime(
                runtime_status=running, host_ready=True, placement=PLACEMENT
            ),
            scheduler=metadata_pb2.MetadataScheduler(connected_addresses=[SCHEDULER]),
            workflows=metadata_pb2.MetadataWorkflows(connected_workers=facts.workers),
        )

    async def _set(self, request: Any, _: Context) -> Any:
        self._extended[request.key] = request.value
        return empty_pb2.Empty()

    async def _shutdown(self, _request: Any, _: Context) -> Any:
        self._stop()
        return empty_pb2.Empty()
