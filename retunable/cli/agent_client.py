"""Talks to a running agent over HTTP; its answers stay plain JSON objects.

Uses the standard library alone: a command is often over before a client library is imported.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from retunable.cli.exits import Stop

TOKEN_VARIABLE: Final = "RETUNABLE_HTTP_TOKEN"  # noqa: S105 - its name, not its value
REPORT_SECONDS: Final = 3.0

Report = Mapping[str, Any]
"""What ``GET /agent/config`` answers."""
Event = tuple[str, Mapping[str, Any]]
"""The name of a server-sent event, and its data."""


class AgentAway(Stop):
    """The agent did not answer, or not as an agent does; ends a command that cannot do without."""


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
        reply = self.ask("GET", "/agent/config", seconds=REPORT_SECONDS)
        if reply.status != http.HTTPStatus.OK:
            raise AgentAway(f"the agent at {self.url} refuses: {reply.detail}")
        return reply.body

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, bytes] | None = None,
        seconds: float | None,
    ) -> Reply:
        """Send one request; ``seconds`` None waits for its answer as long as it takes.

        Raises:
            AgentAway: it does not answer.
        """
        with self._asked(method, path, body, headers=headers, seconds=seconds) as response:
            try:
                return self._reply(response)
            except (OSError, http.client.HTTPException) as error:
                raise self._away(error) from error

    def events(self, path: str, *, silence_seconds: float) -> Iterator[Event]:
        """Yield server-sent events until the agent ends them; a problem is one called ``refused``.

        Raises:
            AgentAway: it does not answer, or says nothing for ``silence_seconds``.
        """
        with self._asked("GET", path, seconds=silence_seconds) as response:
            try:
                if response.status == http.HTTPStatus.OK:
                    yield from _events(response)
                else:
                    yield "refused", self._reply(response).body
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._away(error) from error

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, bytes] | None = None,
        seconds: float | None,
    ) -> Iterator[http.client.HTTPResponse]:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
        token = os.environ.get(TOKEN_VARIABLE)
        sent: dict[str, Any] = {**(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            try:
                data = None if body is None else json.dumps(body).encode()
                connection.request(method, path, data, sent)
                response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise self._away(error) from error
            with response:  # it outlives the connection where the agent says that it closes it
                yield response
        finally:
            connection.close()

    def _reply(self, response: http.client.HTTPResponse) -> Reply:
        try:
            value = json.loads(response.read())
        except ValueError as error:
            raise self._away(error) from error
        if not isinstance(value, dict):
            raise AgentAway(f"what listens at {self.url} is no agent")
        return Reply(response.status, value)

    def _away(self, error: Exception) -> AgentAway:
        return AgentAway(f"the agent at {self.url} does not answer ({error})")


def _events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Read server-sent events as an agent writes them: one line of data each."""
    name = ""
    for line in lines:
        field, _, value = line.decode().rstrip("\r\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)
