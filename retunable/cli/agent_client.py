"""Talks to a running agent over HTTP; its answers stay plain JSON objects.

Uses the standard library alone: a command is often over before a client library is imported.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

TOKEN_VARIABLE: Final = "RETUNABLE_HTTP_TOKEN"  # noqa: S105 - its name, not its value
REPORT_SECONDS: Final = 3.0

Report = Mapping[str, Any]
"""What ``GET /agent/config`` answers."""


class AgentAway(Exception):
    """The agent did not answer, or not as an agent does."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer, its body parsed."""

    status: int
    body: Mapping[str, Any]

    @property
    def detail(self) -> str:
        """A problem's own words."""
        return str(self.body.get("detail") or self.body.get("title") or f"HTTP {self.status}")


@dataclass(frozen=True, slots=True)
class AgentClient:
    """One running agent by its URL."""

    url: str

    def report(self) -> Report:
        """Return what the agent runs on now.

        Raises:
            AgentAway: it does not answer or refuses to.
        """
        reply = self._ask("GET", "/agent/config", seconds=REPORT_SECONDS)
        if reply.status != http.HTTPStatus.OK:
            raise AgentAway(f"the agent at {self.url} refuses: {reply.detail}")
        return reply.body

    def run(self, request: Mapping[str, Any], *, user: str | None, seconds: float | None) -> Reply:
        """Send one message and wait for the answer; ``seconds`` None waits as long as it takes.

        Raises:
            AgentAway: it does not answer.
        """
        headers = {} if user is None else {"Retunable-User": user.encode()}
        return self._ask("POST", "/agent/runs", request, headers=headers, seconds=seconds)

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, bytes] | None = None,
        seconds: float | None,
    ) -> Reply:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
        token = os.environ.get(TOKEN_VARIABLE)
        sent: dict[str, Any] = {**(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            connection.request(
                method, path, None if body is None else json.dumps(body).encode(), sent
            )
            response = connection.getresponse()
            value = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AgentAway(f"the agent at {self.url} does not answer ({error})") from error
        finally:
            connection.close()
        if not isinstance(value, dict):
            raise AgentAway(f"what listens at {self.url} is no agent")
        return Reply(response.status, value)
