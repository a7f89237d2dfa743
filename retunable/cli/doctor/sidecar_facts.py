"""Asks daprd for its metadata over HTTP."""

from __future__ import annotations

import http.client
import json
import os
from typing import Any, Final
from urllib.parse import urlsplit

from retunable.cli.doctor.sidecar import SidecarFacts

SECONDS: Final = 3.0


def sidecar_facts(url: str | None) -> SidecarFacts:
    """Fetch ``/v1.0/metadata``; with ``DAPR_API_TOKEN`` where it is set."""
    if url is None:
        return SidecarFacts(None, None)
    token = os.environ.get("DAPR_API_TOKEN")
    parts = urlsplit(url)
    connection: Any = None
    try:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
        connection.request(
            "GET", "/v1.0/metadata", headers={"dapr-api-token": token} if token else {}
        )
        response = connection.getresponse()
        value = json.loads(response.read())
        if response.status != http.HTTPStatus.OK or not isinstance(value, dict):
            return SidecarFacts(url, None, f"HTTP {response.status}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return SidecarFacts(url, None, str(error))
    finally:
        if connection is not None:
            connection.close()
    return SidecarFacts(url, value)
