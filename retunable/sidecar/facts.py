"""What the sidecar says of itself, over gRPC and over HTTP alike. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from retunable.sidecar.messages import Topic
from retunable.sidecar.resources import Resources

COMPONENT_VERSION: Final = "v1"
# The words by which Dapr's own metadata says that its control plane is there.
PLACEMENT: Final = "placement: connected"
SCHEDULER: Final = "embedded"


@dataclass(frozen=True, slots=True)
class Component:
    """One loaded component, as Dapr's metadata lists it."""

    name: str
    type: str
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarFacts:
    """One moment of a sidecar."""

    app_id: str
    runtime_version: str
    components: tuple[Component, ...]
    workers: int
    topics: tuple[Topic, ...] = ()
    extended: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the body of ``/v1.0/metadata``."""
        return {
            "id": self.app_id,
            "runtimeVersion": self.runtime_version,
            "components": [_json(component) for component in self.components],
            "extended": {"daprRuntimeVersion": self.runtime_version, **self.extended},
            "subscriptions": [
                {"pubsubname": t.pubsub, "topic": t.name, "type": "STREAMING"} for t in self.topics
            ],
            "actorRuntime": {
                "runtimeStatus": "RUNNING",
                "hostReady": True,
                "placement": PLACEMENT,
            },
            "scheduler": {"connected_addresses": [SCHEDULER]},
            "workflows": {"connectedWorkers": self.workers},
        }


def components(resources: Resources) -> tuple[Component, ...]:
    """Return everything that the sidecar serves, under the names of the component files."""
    found = [Component(name, "configuration.sqlite") for name in resources.configuration]
    for name in resources.state:
        actor = ("ACTOR",) if name == resources.actor_store else ()
        found.append(Component(name, "state.sqlite", ("ETAG", "TRANSACTIONAL", "TTL", *actor)))
    found += [Component(name, "pubsub.sqlite") for name in resources.pubsub]
    found += [Component(name, store.type) for name, store in resources.secrets.items()]
    return tuple(found)


def _json(component: Component) -> dict[str, Any]:
    about: dict[str, Any] = {
        "name": component.name,
        "type": component.type,
        "version": COMPONENT_VERSION,
    }
    return about | (
        {"capabilities": list(component.capabilities)} if component.capabilities else {}
    )
