"""Finds the configuration store in Dapr component files and turns it into a store URL.

Reads what daprd reads: the YAML files that lie directly in the resources folder. A secret is
resolved where the folder's own secret store is a local one, and refused by name otherwise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from retunable.errors import ConfigurationError
from retunable.release.component_url import postgres_url, redis_url
from retunable.release.store_url import DEFAULT_COMPONENT, StoreURL

_SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Resource:
    """One document of a resources folder, whatever its kind."""

    file: Path
    kind: str
    name: str
    body: Mapping[str, Any]

    @property
    def spec(self) -> Mapping[str, Any]:
        spec = self.body.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def type(self) -> str:
        """A component's type, like ``configuration.redis``."""
        return str(self.spec.get("type", ""))

    def metadata(self, name: str) -> str | None:
        """Return a metadata item that is written down in plain, as text."""
        entry = self.entry(name)
        return None if entry is None or "value" not in entry else _text(entry["value"])

    def entry(self, name: str) -> Mapping[str, Any] | None:
        """Return a metadata item as it is written, a reference to a secret too."""
        entries = self.spec.get("metadata")
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and str(entry.get("name", "")).lower() == name.lower():
                return entry
        return None


@dataclass(frozen=True, slots=True)
class Resources:
    """All of a folder; ``broken`` are files that daprd would skip, with the reason."""

    folder: Path
    found: tuple[Resource, ...]
    broken: Mapping[str, str] = field(default_factory=dict)

    def components(self, kind: str) -> tuple[Resource, ...]:
        """Return the components whose type begins with ``kind``, like ``state.``."""
        return tuple(r for r in self.found if r.kind == "Component" and r.type.startswith(kind))

    def of_kind(self, kind: str) -> tuple[Resource, ...]:
        """Return everything of one kind, like ``Resiliency``."""
        return tuple(r for r in self.found if r.kind == kind)


def read_resources(folder: Path) -> Resources:
    """Read a resources folder; one that is not there is empty."""
    found: list[Resource] = []
    broken: dict[str, str] = {}
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in files:
        if file.suffix not in _SUFFIXES:
            continue
        try:
            found += _documents(file)
        except (OSError, UnicodeError, yaml.YAMLError) as error:
            broken[file.name] = " ".join(str(error).split())
    return Resources(folder, tuple(found), broken)


def store_url(resources: Resources, component: str = DEFAULT_COMPONENT) -> StoreURL:
    """Return the URL of the configuration store that a component names.

    Raises:
        ConfigurationError: no such component, one that cannot be written, or a secret that
            cannot be resolved here.
    """
    resource = configuration_component(resources, component)
    secrets = _Secrets(resources, resource)
    match resource.type:
        case "configuration.redis":
            return StoreURL.parse(redis_url(secrets.metadata, component))
        case "configuration.postgresql" | "configuration.postgres":
            return StoreURL.parse(postgres_url(secrets.metadata))
        case other:
            raise ConfigurationError(
                f"component {component!r} is a {other or 'component without type'}, which has no "
                "writer; name the store itself with --store"
            )


def configuration_component(resources: Resources, component: str) -> Resource:
    """Return the configuration component of a name; raise ConfigurationError if there is none."""
    stores = resources.components("configuration.")
    for resource in stores:
        if resource.name == component:
            return resource
    there = ", ".join(resource.name for resource in stores) or "none"
    raise ConfigurationError(
        f"no configuration component {component!r} in {resources.folder} (there: {there}); "
        "pass --store URL, --resources-path FOLDER or --component NAME"
    )


def _documents(file: Path) -> Iterator[Resource]:
    for body in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        if isinstance(body, dict):
            metadata = body.get("metadata")
            name = metadata.get("name", "") if isinstance(metadata, dict) else ""
            yield Resource(file, str(body.get("kind", "")), str(name), body)


@dataclass(frozen=True, slots=True)
class _Secrets:
    """Metadata of one component, with references followed as daprd would."""

    resources: Resources
    component: Resource

    def metadata(self, name: str) -> str | None:
        entry = self.component.entry(name)
        if entry is None:
            return None
        if "envRef" in entry:
            return self._variable(name, str(entry["envRef"]))
        reference = entry.get("secretKeyRef")
        if isinstance(reference, dict):
            secret = str(reference.get("name", ""))
            return self._secret(name, secret, str(reference.get("key") or secret))
        return _text(entry.get("value", ""))

    def _secret(self, item: str, secret: str, key: str) -> str:
        auth = self.component.body.get("auth")
        named = str(auth.get("secretStore", "")) if isinstance(auth, dict) else ""
        store = next(
            (s for s in self.resources.components("secretstores.") if s.name == named), None
        )
        match store.type if store else "":
            case "secretstores.local.env":
                return self._variable(item, secret)
            case "secretstores.local.file" if store is not None:
                return self._from_file(item, store, secret, key)
        raise self._unresolved(
            item, f"is {secret}/{key} of secret store {named or '(none named)'!r}, not a local one"
        )

    def _from_file(self, item: str, store: Resource, secret: str, key: str) -> str:
        file = Path(store.metadata("secretsFile") or "")
        candidates = (file, self.resources.folder / file, self.resources.folder.parent / file)
        path = next((path for path in candidates if path.is_file()), None)
        if path is None:
            raise self._unresolved(item, f"lies in {str(file)!r}, which is not there")
        try:
            value: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._unresolved(item, f"lies in {str(path)!r}, which is no JSON") from error
        separator = store.metadata("nestedSeparator") or ":"
        for part in (secret, *([key] if key != secret else [])):
            value = _nested(value, part, separator)
        if not isinstance(value, str | int | float):
            raise self._unresolved(item, f"is {secret}/{key}, which {str(path)!r} does not have")
        return str(value)

    def _variable(self, item: str, name: str) -> str:
        value = os.environ.get(name)
        if value is None:
            raise self._unresolved(item, f"is the variable {name}, which is not set here")
        return value

    def _unresolved(self, item: str, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"{item} of component {self.component.name!r} {reason}; "
            "name the store with --store URL or RETUNABLE_STORE"
        )


def _nested(value: Any, name: str, separator: str) -> Any:
    """Follow ``a:b`` into nested objects; a name that holds the separator itself wins."""
    if not isinstance(value, dict):
        return value
    if name in value:
        return value[name]
    for part in name.split(separator):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    """Return a YAML scalar as the text that daprd makes of it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
