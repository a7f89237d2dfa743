"""Secrets of a folder's own local secret stores, found as daprd would find them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from retunable.release.resources import Resource, Resources


class SecretAway(Exception):
    """A secret is not to be had here; the message reads on from its name."""


def secret_in(resources: Resources, name: str, secret: str, key: str) -> str:
    """Return one key of a secret from the secret store of a name; raise SecretAway."""
    store = next((s for s in resources.components("secretstores.") if s.name == name), None)
    match store.type if store else "":
        case "secretstores.local.env":
            return variable(secret)
        case "secretstores.local.file" if store is not None:
            return _from_file(resources, store, secret, key)
    raise SecretAway(
        f"is {secret}/{key} of secret store {name or '(none named)'!r}, not a local one"
    )


def variable(name: str) -> str:
    """Return a variable of the environment; raise SecretAway."""
    value = os.environ.get(name)
    if value is None:
        raise SecretAway(f"is the variable {name}, which is not set here")
    return value


def _from_file(resources: Resources, store: Resource, secret: str, key: str) -> str:
    file = Path(store.metadata("secretsFile") or "")
    candidates = (file, resources.folder / file, resources.folder.parent / file)
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise SecretAway(f"lies in {str(file)!r}, which is not there")
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SecretAway(f"lies in {str(path)!r}, which is no JSON") from error
    separator = store.metadata("nestedSeparator") or ":"
    for part in (secret, *([key] if key != secret else [])):
        value = _nested(value, part, separator)
    if not isinstance(value, str | int | float):
        raise SecretAway(f"is {secret}/{key}, which {str(path)!r} does not have")
    return str(value)


def _nested(value: Any, name: str, separator: str) -> Any:
    """Follow ``a:b`` into nested objects; a name that holds the separator itself wins."""
    if not isinstance(value, dict):
        return value
    if name in value:
        return value[name]
    for part in name.split(separator):
        value = value.get(part) if isinstance(value, dict) else None
    return value
