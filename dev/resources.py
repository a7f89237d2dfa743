"""Writes a folder of Dapr component files for servers that are somewhere else than the files say.

Only addresses change. Which components there are is decided by the folder that is copied.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parent.parent
REDIS_RESOURCES = CHECKOUT / "resources"
POSTGRES_RESOURCES = CHECKOUT / "resources" / "postgres"


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the servers are; an address that is not given stays as the files have it."""

    configuration_redis: str = ""
    configuration_postgresql: str = ""
    state_redis: str = ""
    state_postgresql: str = ""
    state_sqlite: Path | None = None
    broker_redis: str = ""


def write_resources(source: Path, target: Path, *, addresses: Addresses) -> Path:
    """Copy every component file with the addresses filled in; returns the target folder.

    Raises FileNotFoundError when there is none: daprd would start without any store.
    """
    files = sorted(source.glob("*.y*ml"))
    if not files:
        raise FileNotFoundError(f"no Dapr component files in {source}")
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        documents = yaml.safe_load_all(file.read_text())
        rewritten = [_rewritten(d, addresses) for d in documents if d is not None]
        write_atomically(target / file.name, yaml.safe_dump_all(rewritten, sort_keys=False))
    return target


def write_atomically(path: Path, text: str) -> None:
    """Replace the file in one step: daprd removes a component whose file it meets half-written."""
    # A name that daprd does not read.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


def components(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield every Dapr component that the folder declares."""
    for file in sorted(folder.glob("*.y*ml")):
        for document in yaml.safe_load_all(file.read_text()):
            if document is not None and document.get("kind") == "Component":
                yield document


def _rewritten(document: dict[str, Any], addresses: Addresses) -> dict[str, Any]:
    if document.get("kind") != "Component":
        return document
    spec = document["spec"]
    match str(spec["type"]).split("."):
        case ["configuration", "redis"]:
            _set(spec, "redisHost", addresses.configuration_redis)
        case ["configuration", "postgresql" | "postgres"]:
            _set(spec, "connectionString", addresses.configuration_postgresql)
        case ["state", _] if addresses.state_sqlite is not None:
            spec |= {"type": "state.sqlite", "version": "v1", "metadata": _sqlite(addresses)}
        case ["pubsub", _] if addresses.broker_redis:
            spec |= {"type": "pubsub.redis", "version": "v1", "metadata": _broker(addresses)}
        case ["pubsub", _] if addresses.state_sqlite is not None:
            spec |= {"type": "pubsub.in-memory", "version": "v1", "metadata": []}
        case [_, "redis"]:
            _set(spec, "redisHost", addresses.state_redis)
        case [_, "postgresql" | "postgres"]:
            _set(spec, "connectionString", addresses.state_postgresql)
    return document


def _sqlite(addresses: Addresses) -> list[dict[str, str]]:
    return [
        {"name": "connectionString", "value": str(addresses.state_sqlite)},
        {"name": "actorStateStore", "value": "true"},
    ]


def _broker(addresses: Addresses) -> list[dict[str, str]]:
    return [
        {"name": "redisHost", "value": addresses.broker_redis},
        # Else daprd tries for minutes to reach a broker that is away.
        {"name": "redisMaxRetries", "value": "0"},
        # What a killed daprd had taken comes again after a minute otherwise.
        {"name": "processingTimeout", "value": "2s"},
        {"name": "redeliverInterval", "value": "1s"},
    ]


def _set(spec: dict[str, Any], name: str, value: str) -> None:
    if value:
        others = [item for item in spec.get("metadata", []) if item["name"] != name]
        spec["metadata"] = [{"name": name, "value": value}, *others]
