"""The sidecar: what it has loaded and what it is connected to.

From ``/v1.0/metadata`` alone: daprd's health endpoints say 204 in every state of the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from retunable.cli.doctor.finding import Finding, error, ok, warning

EMBEDDED_VERSION: Final = "retunable-embedded"


@dataclass(frozen=True, slots=True)
class SidecarFacts:
    """The sidecar's own report; None where it does not answer at ``url``."""

    url: str | None
    metadata: Mapping[str, Any] | None
    why_away: str = ""

    @property
    def embedded(self) -> bool:
        """Whether it says that it is ours."""
        return str((self.metadata or {}).get("runtimeVersion", "")).startswith(EMBEDDED_VERSION)


def check_sidecar(facts: SidecarFacts, component: str) -> Iterator[Finding]:
    """Look at the sidecar of an agent whose configuration component has this name."""
    if facts.url is None:
        yield warning(
            "sidecar",
            "no running agent here says where its sidecar is, so it was not looked at",
            "retune doctor --sidecar http://127.0.0.1:3500",
        )
        return
    if facts.metadata is None:
        yield error(
            "sidecar",
            f"nobody answers at {facts.url} ({facts.why_away})",
            "start it with the agent: dapr run --app-id hot-reload-demo --resources-path "
            "./resources -- python agent.py",
        )
        return
    version = facts.metadata.get("runtimeVersion", "?")
    if facts.embedded:
        yield ok(
            "sidecar",
            f"an embedded one ({version}) answers at {facts.url}; it is for one machine, "
            "`dapr run` is for more",
        )
        yield _component(facts.metadata, component)
        yield _actor_store(facts.metadata)
        return
    yield ok("sidecar", f"daprd {version} answers at {facts.url}")
    yield _placement(facts.metadata)
    yield _scheduler(facts.metadata)
    yield _component(facts.metadata, component)
    yield _actor_store(facts.metadata)
    yield _hot_reload(facts.metadata)


def _placement(metadata: Mapping[str, Any]) -> Finding:
    runtime = _object(metadata.get("actorRuntime"))
    said = str(runtime.get("placement", ""))
    if said.endswith("connected") and not said.endswith("disconnected"):
        return ok("placement", "connected")
    status = runtime.get("runtimeStatus", "unknown")
    return error(
        "placement",
        f"not connected ({said or 'nothing said'}, actor runtime {status}); runs cannot start",
        "start it: placement --port 50005   (dapr init does, `make run-dapr` too)",
    )


def _scheduler(metadata: Mapping[str, Any]) -> Finding:
    addresses = _object(metadata.get("scheduler")).get("connected_addresses") or []
    if addresses:
        return ok("scheduler", f"connected to {', '.join(addresses)}")
    return error(
        "scheduler",
        "not connected; runs cannot start",
        "start it: scheduler --port 50006   (dapr init does, `make run-dapr` too)",
    )


def _component(metadata: Mapping[str, Any], name: str) -> Finding:
    stores = [c for c in _components(metadata) if str(c.get("type")).startswith("configuration.")]
    for store in stores:
        if store.get("name") == name:
            return ok("component", f"{name} is loaded ({store.get('type')})")
    there = ", ".join(str(store.get("name")) for store in stores) or "none"
    return error(
        "component",
        f"daprd has not loaded the configuration component {name!r} (loaded: {there}): its file is "
        "missing or broken, or its store was down when daprd started",
        "with the store up and the file right, daprd takes it within 60 s; at once: "
        "rewrite the file, or restart daprd",
    )


def _actor_store(metadata: Mapping[str, Any]) -> Finding:
    stores = [c for c in _components(metadata) if str(c.get("type")).startswith("state.")]
    able = [c for c in stores if "ACTOR" in (c.get("capabilities") or [])]
    if not able:
        return error(
            "state store",
            "daprd has loaded no state store that can hold workflows",
            "put resources/statestore.yaml into daprd's --resources-path",
        )
    if any(c.get("type") == "state.in-memory" for c in able):
        return warning(
            "state store",
            f"{able[0].get('name')} is state.in-memory: a restart of daprd loses every run",
            "use state.redis, state.postgresql or state.sqlite in resources/statestore.yaml",
        )
    return ok("state store", f"{able[0].get('name')} is loaded ({able[0].get('type')})")


def _hot_reload(metadata: Mapping[str, Any]) -> Finding:
    if "HotReload" in (metadata.get("enabledFeatures") or []):
        return ok("hot reload", "on: a store that was down when daprd started is taken up later")
    return warning(
        "hot reload",
        "off: a configuration store that is down when daprd starts stays away until a restart",
        "remove `- name: HotReload` with `enabled: false` from the file given by --config",
    )


def _components(metadata: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    components = metadata.get("components")
    return [c for c in components if isinstance(c, dict)] if isinstance(components, list) else []


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
