"""Finds the configuration store in Dapr component files and turns it into a store URL.

Reads what daprd reads: the YAML files that lie directly in the resources folder. A secret is
resolved where the folder's own secret store is a local one, and refused by name otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from retunable.errors import ConfigurationError
from retunable.release.component_url import postgres_url, redis_url
from retunable.release.local_secrets import SecretAway, secret_in, variable
from retunable.release.resources import Resource, Resources, plain_text
from retunable.release.store_url import DEFAULT_COMPONENT, StoreURL

_SUFFIXES: Final = (".yaml", ".yml")


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


def local_secret(resources: Resources, store: str, key: str) -> str:
    """Return a secret of one of the folder's own local secret stores.

    Raises:
        ConfigurationError: it is not to be had here.
    """
    try:
        return secret_in(resources, store, key, key)
    except SecretAway as away:
        raise ConfigurationError(
            f"{store}/{key} {away}; run where the sidecar is (DAPR_HTTP_PORT), or name a file: "
            "file:release.pem"
        ) from away


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
        return plain_text(entry.get("value", ""))

    def _secret(self, item: str, secret: str, key: str) -> str:
        auth = self.component.body.get("auth")
        named = str(auth.get("secretStore", "")) if isinstance(auth, dict) else ""
        try:
            return secret_in(self.resources, named, secret, key)
        except SecretAway as away:
            raise self._unresolved(item, str(away)) from away

    def _variable(self, item: str, name: str) -> str:
        try:
            return variable(name)
        except SecretAway as away:
            raise self._unresolved(item, str(away)) from away

    def _unresolved(self, item: str, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"{item} of component {self.component.name!r} {reason}; "
            "name the store with --store URL or RETUNABLE_STORE"
        )
