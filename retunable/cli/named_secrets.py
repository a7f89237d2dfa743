"""Reads a secret that is named as ``secretstore/key`` or ``file:path``."""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path
from typing import Final
from urllib.parse import quote

from retunable.cli.exits import ExitCode, Stop
from retunable.release.components import local_secret, read_resources

SECONDS: Final = 3.0
_FILE: Final = "file:"


def named_secret(name: str, *, what: str, resources: Path) -> str:
    """Return the text of a secret; ``what`` it is stands in the words that end the command.

    A secret store is asked through the sidecar where DAPR_HTTP_PORT names one, else read where it
    is a local one of the resources folder.
    """
    if name.startswith(_FILE):
        try:
            return Path(name.removeprefix(_FILE)).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Stop(f"the {what} {name} cannot be read: {error}") from error
    store, slash, key = name.partition("/")
    if not (store and slash and key):
        raise Stop(f"a {what} is named as secretstore/key or file:PATH", ExitCode.USAGE)
    if port := os.environ.get("DAPR_HTTP_PORT"):
        return _from_sidecar(int(port), store, key)
    return local_secret(read_resources(resources), store, key)


def _from_sidecar(port: int, store: str, key: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", f"/v1.0/secrets/{quote(store, safe='')}/{quote(key, safe='')}")
        reply = connection.getresponse()
        body = reply.read()
    except OSError as error:
        raise Stop(f"the sidecar on port {port} does not give {store}/{key}: {error}") from error
    finally:
        connection.close()
    if reply.status != http.HTTPStatus.OK:
        raise Stop(f"the sidecar does not give {store}/{key}: HTTP {reply.status}")
    try:
        return str(json.loads(body)[key])
    except (ValueError, KeyError, TypeError) as error:
        raise Stop(f"secret store {store!r} has no {key!r}") from error
