"""What Dapr component files mean to the embedded sidecar: names to serve, secret stores, the rest.

A configuration, state or pub/sub component of any type is stood in for under its name. What cannot
be read as YAML or as a component is named and skipped, as daprd does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from retunable.errors import ConfigurationError
from retunable.sidecar.configuration import DEFAULT_STORE as DEFAULT_CONFIGURATION
from retunable.sidecar.messages import DEFAULT_PUBSUB
from retunable.sidecar.secrets import EnvironmentSecrets, FileSecrets, SecretStore
from retunable.sidecar.state import DEFAULT_STORE as DEFAULT_STATE

_TRUE: Final = ("true", "1", "yes", "on", "y")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something in the files that only daprd serves."""

    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name} ({self.what})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Component names by building block; ``actor_store`` is the one for workflows."""

    configuration: tuple[str, ...] = (DEFAULT_CONFIGURATION,)
    state: tuple[str, ...] = (DEFAULT_STATE,)
    pubsub: tuple[str, ...] = (DEFAULT_PUBSUB,)
    actor_store: str = DEFAULT_STATE
    secrets: Mapping[str, SecretStore] = field(default_factory=dict)
    stood_in: tuple[LeftOut, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def read_resources(folder: Path | None, *, app_id: str) -> Resources:
    """Read every component file of a folder that is meant for this app.

    Raises:
        ConfigurationError: there is no such folder, or a secret store in it cannot work.
    """
    if folder is None:
        return Resources()
    if not folder.is_dir():
        raise ConfigurationError(
            f"--resources-path {folder} is no folder; name one or leave it out"
        )
    return _resources(list(_documents(folder)), app_id)


def _resources(documents: list[tuple[str, Any]], app_id: str) -> Resources:
    names: dict[str, list[str]] = {"configuration": [], "state": [], "pubsub": []}
    actor_stores: list[str] = []
    secrets: dict[str, SecretStore] = {}
    stood_in: list[LeftOut] = []
    left_out: list[LeftOut] = []
    for file, document in documents:
        component = _component(document)
        if component is None:
            left_out.append(LeftOut(file, _kind(document)))
        elif component.scopes and app_id not in component.scopes:
            continue
        elif (store := _secret_store(component)) is not None:
            secrets[component.name] = store
        elif (block := component.type.partition(".")[0]) in names:
            names[block].append(component.name)
            stood_in.append(LeftOut(component.name, component.type))
            if component.metadata.get("actorStateStore", "").lower() in _TRUE:
                actor_stores.append(component.name)
        else:
            left_out.append(LeftOut(component.name, component.type))
    return Resources(
        configuration=_with_default(names["configuration"], DEFAULT_CONFIGURATION),
        state=_with_default(names["state"], DEFAULT_STATE),
        pubsub=_with_default(names["pubsub"], DEFAULT_PUBSUB),
        actor_store=(actor_stores or [DEFAULT_STATE])[0],
        secrets=secrets,
        stood_in=tuple(stood_in),
        left_out=tuple(left_out),
    )


@dataclass(frozen=True, slots=True)
class _Component:
    name: str
    type: str
    metadata: Mapping[str, str]
    scopes: tuple[str, ...]


def _documents(folder: Path) -> Iterator[tuple[str, Any]]:
    files = sorted((*folder.glob("*.yaml"), *folder.glob("*.yml")))
    if not files:
        return
    import yaml  # 15 ms, and only where there are files

    for file in files:
        try:
            for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
                if document is not None:
                    yield file.name, document
        except (yaml.YAMLError, OSError, UnicodeDecodeError):
            yield file.name, None


def _component(document: Any) -> _Component | None:
    if not isinstance(document, dict) or document.get("kind") != "Component":
        return None
    about, spec = document.get("metadata"), document.get("spec")
    if not isinstance(about, dict) or not isinstance(spec, dict):
        return None
    name, kind = about.get("name"), spec.get("type")
    settings, scopes = spec.get("metadata") or [], document.get("scopes") or []
    if not isinstance(name, str) or not isinstance(kind, str):
        return None
    if not isinstance(settings, list) or not isinstance(scopes, list):
        return None
    metadata = {
        str(item.get("name")): _text(item.get("value"))
        for item in settings
        if isinstance(item, dict)
    }
    return _Component(name, kind, metadata, tuple(map(str, scopes)))


def _kind(document: Any) -> str:
    kind = document.get("kind") if isinstance(document, dict) else None
    return str(kind) if kind and kind != "Component" else "cannot be read"


def _secret_store(component: _Component) -> SecretStore | None:
    settings = component.metadata
    match component.type:
        case "secretstores.local.file":
            if not settings.get("secretsFile"):
                raise ConfigurationError(
                    f"the secret store {component.name!r} names no secretsFile in its metadata"
                )
            return FileSecrets(
                Path(settings["secretsFile"]),
                separator=settings.get("nestedSeparator") or ":",
                several_values=settings.get("multiValued", "").lower() in _TRUE,
            )
        case "secretstores.local.env":
            return EnvironmentSecrets(settings.get("prefix", ""))
        case _:
            return None


def _with_default(names: list[str], default: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*names, default)))


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
