"""The component files: what daprd is told, and what in it would keep changes from the agent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from retunable.cli.doctor.finding import Finding, error, ok, warning
from retunable.release.component_url import TRUE, pool_size
from retunable.release.resources import Resource, Resources

DEAFENING: Final = frozenset(
    {
        "DefaultTimeoutPolicy",
        "DefaultComponentTimeoutPolicy",
        "DefaultComponentOutboundTimeoutPolicy",
        "DefaultConfigurationComponentOutboundTimeoutPolicy",
    }
)
"""Timeout policies that Dapr applies by their name alone, to a subscription too."""

ENOUGH_CONNECTIONS: Final = 5


def check_files(resources: Resources, component: str) -> Iterator[Finding]:
    """Look at a resources folder for an agent whose configuration component has this name."""
    yield from check_broken_files(resources)
    if not resources.found:
        yield warning(
            "resources",
            f"there are no component files in {resources.folder}",
            "retune doctor --resources-path FOLDER",
        )
        return
    stores = [r for r in resources.components("configuration.") if r.name == component]
    if not stores:
        yield error(
            "resources",
            f"no file in {resources.folder} declares the configuration component {component!r}",
            "add one like resources/configstore.yaml, or name it: --component NAME",
        )
    for store in stores:
        yield from _check_store(store)
    yield from _state_store(resources)
    yield from _resiliency(resources, component)


def check_broken_files(resources: Resources) -> Iterator[Finding]:
    """Look for files that no sidecar can read."""
    for file, reason in resources.broken.items():
        yield error(
            "resources",
            f"{file} is no YAML, so the sidecar goes on without it: {reason}",
            f"mend {resources.folder / file}",
        )


def _check_store(store: Resource) -> Iterator[Finding]:
    if str(store.spec.get("ignoreErrors", "")).lower() in TRUE:
        yield ok("resources", f"{store.name} has ignoreErrors: daprd starts without its store")
    else:
        yield warning(
            "resources",
            f"{store.name} lacks ignoreErrors: daprd ends where the store is down at its start",
            f"write `ignoreErrors: true` under `spec:` in {store.file}",
        )
    if store.type == "configuration.redis" and store.metadata("redisType") == "cluster":
        yield error(
            "resources",
            f"{store.name} is a Redis Cluster: most changes are not announced",
            f"name a single primary in {store.file}",
        )
    if store.type.startswith("configuration.postgres"):
        yield from _postgres(store)


def _postgres(store: Resource) -> Iterator[Finding]:
    if not store.metadata("notifyChannel"):
        yield error(
            "resources",
            f"{store.name} names no channel, so no subscription to it works",
            f"write into {store.file}: - name: notifyChannel  value: config",
        )
    written = store.metadata("maxConns") or ""
    size = int(written) if written.isdecimal() else None
    size = size or pool_size(store.metadata("connectionString") or "")
    if size is not None and size >= ENOUGH_CONNECTIONS:
        yield ok("pool", f"{store.name} has {size} connections")
        return
    seen = "Dapr's default, 4 on a small machine" if size is None else str(size)
    yield warning(
        "pool",
        f"{store.name} has few connections ({seen}) and each subscription pins one: with none "
        "left every read hangs",
        f'write into {store.file}: - name: maxConns  value: "10"',
    )


def _state_store(resources: Resources) -> Iterator[Finding]:
    stores = resources.components("state.")
    actors = [s for s in stores if (s.metadata("actorStateStore") or "").lower() in TRUE]
    if not actors:
        where = stores[0].file if stores else resources.folder / "statestore.yaml"
        yield error(
            "state store",
            "no file declares a state store for workflows",
            f'write into {where}: - name: actorStateStore  value: "true"',
        )
    elif len(actors) > 1:
        yield error(
            "state store",
            f"{', '.join(s.name for s in actors)} are both for workflows; daprd takes one",
            f"remove actorStateStore from {actors[1].file}",
        )
    elif actors[0].type == "state.in-memory":
        yield warning(
            "state store",
            f"{actors[0].name} is state.in-memory: a restart of daprd loses every run",
            f"use state.redis, state.postgresql or state.sqlite in {actors[0].file}",
        )
    else:
        yield ok("state store", f"{actors[0].name} ({actors[0].type}) is for workflows")


def _resiliency(resources: Resources, component: str) -> Iterator[Finding]:
    policies = resources.of_kind("Resiliency")
    targets = [(policy, _target(policy, component)) for policy in policies]
    timed = [(policy, str(t["timeout"])) for policy, t in targets if t and t.get("timeout")]
    for policy, name in timed:
        yield error(
            "resiliency",
            f"timeout {name!r} on {component} ends its subscription at once and in silence: "
            "changes come by polling only",
            f"remove `timeout: {name}` from targets.components.{component} in {policy.file}",
        )
    named = any(target is not None for _, target in targets)
    by_name = [(p, name) for p in policies for name in sorted(DEAFENING & _timeouts(p).keys())]
    for policy, name in [] if named else by_name:
        yield error(
            "resiliency",
            f"the timeout named {name} applies to {component} by its name alone and ends its "
            "subscription in silence",
            f"write into {policy.file}, under spec.targets.components: "
            f"{component}: {{outbound: {{}}}}",
        )
    if not timed and (named or not by_name):
        yield ok("resiliency", f"no timeout reaches the subscription to {component}")


def _target(policy: Resource, component: str) -> Mapping[str, Any] | None:
    """Return what a policy says for calls to the component, None where it does not name it."""
    targets = _object(_object(_object(policy.spec.get("targets")).get("components")).get(component))
    return _object(targets.get("outbound")) if "outbound" in targets else None


def _timeouts(policy: Resource) -> Mapping[str, Any]:
    return _object(_object(policy.spec.get("policies")).get("timeouts"))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
