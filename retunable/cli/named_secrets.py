"""Reads a secret that is named as ``secretstore/key`` or ``file:path``."""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from retunable.cli.exits import ExitCode, Stop
from retunable.errors import ConfigurationError
from retunable.release.components import local_secret, read_resources
from retunable.serve.address import running_agents

SECONDS: Final = 3.0
_FILE: Final = "file:"
_NO_SUCH_STORE: Final = ("ERR_SECRET_STORE_NOT_FOUND", "ERR_SECRET_STORES_NOT_CONFIGURED")


def named_secret(name: str, *, what: str, resources: Path) -> str:
    """Return the text of a secret; ``what`` it is stands in the words that end the command.

    A secret store is asked through the sidecar where DAPR_HTTP_PORT names one. Elsewhere it is read
    where it is a local one of the resources folder, else through the sidecar of a running agent.
    """
    if name.startswith(_FILE):
        try:
            return Path(name.removeprefix(_FILE)).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Stop(f"the {what} {name} cannot be read: {error}") from error
    store, slash, key = name.partition("/")
    if not (store and slash and key):
        raise Stop(f"a {what} is named as secretstore/key or file:PATH", ExitCode.USAGE)
    found = None
    if port := os.environ.get("DAPR_HTTP_PORT"):
        found = _from_sidecar(f"http://127.0.0.1:{port}", store, key)
    return found if found is not None else _from_files(resources, store, key)


def _from_files(resources: Path, store: str, key: str) -> str:
    try:
        return local_secret(read_resources(resources), store, key)
    except ConfigurationError:
        for record in running_agents():
            if record.sidecar and (found := _from_sidecar(record.sidecar, store, key)) is not None:
                return found
        raise


def _from_sidecar(url: str, store: str, key: str) -> str | None:
    """Ask a sidecar; None where it has no such secret store."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=SECONDS)
    token = os.environ.get("DAPR_API_TOKEN")
    headers = {"dapr-api-token": token} if token else {}
    path = f"/v1.0/secrets/{quote(store, safe='')}/{quote(key, safe='')}"
    try:
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        body = reply.read()
    except OSError as error:
        raise Stop(f"the sidecar at {url} does not give {store}/{key}: {error}") from error
    finally:
        connection.close()
    if reply.status != http.HTTPStatus.OK:
        if _error_code(body) in _NO_SUCH_STORE:
            return None
        raise Stop(f"the sidecar at {url} does not give {store}/{key}: HTTP {reply.status}")
    try:
        return str(json.loads(body)[key])
    except (ValueError, KeyError, TypeError) as error:
        raise Stop(f"secret store {store!r} has no {key!r}") from error


def _error_code(body: bytes) -> str | None:
    try:
        return str(json.loads(body)["errorCode"])
    except (ValueError, KeyError, TypeError):
        return None
