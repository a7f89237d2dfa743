"""Asks a running agent about its runs over HTTP; an answer that is a problem ends the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from retunable.cli.agent_client import AgentClient, Event, Reply
from retunable.cli.exits import Stop

LOOK_SECONDS: Final = 30.0
"""The agent looks into its state store, and at up to 500 runs."""
END_SECONDS: Final = 120.0
"""Stopping and forgetting wait for workflows to end."""
SILENCE_SECONDS: Final = 60.0
"""A stream of steps says something every 15 s."""


@dataclass(frozen=True, slots=True)
class RunClient:
    """The runs of one agent, by its URL."""

    url: str

    def begin(self, request: Mapping[str, Any], *, user: str | None) -> Mapping[str, Any]:
        """Start a run; return how it is."""
        return self._taken("POST", "/agent/runs", {**request, "wait": False}, user=user)

    def answer(
        self, request: Mapping[str, Any], *, user: str | None, seconds: float | None
    ) -> Mapping[str, Any]:
        """Wait for the answer of the run that a request names, or starts."""
        return self._taken("POST", "/agent/runs", request, user=user, seconds=seconds)

    def steps(self, run_id: str) -> Iterator[Event]:
        """Yield the events of a run as its steps come."""
        return AgentClient(self.url).events(
            f"{_place(run_id)}/steps", silence_seconds=SILENCE_SECONDS
        )

    def runs(self, *, limit: int, status: str | None) -> Mapping[str, Any]:
        """Return the latest runs."""
        query = {"limit": str(limit)} | ({"status": status} if status else {})
        return self._taken("GET", f"/agent/runs?{urlencode(query)}")

    def explain(self, run_id: str) -> Mapping[str, Any]:
        """Return everything that is kept of a run."""
        return self._taken("GET", f"{_place(run_id)}/explain")

    def stop(self, run_id: str) -> Mapping[str, Any]:
        """End a run; return how it is then."""
        return self._taken("POST", f"{_place(run_id)}/stop", seconds=END_SECONDS)

    def forget(self, conversation_id: str) -> Mapping[str, Any]:
        """Erase what was said in a conversation."""
        path = f"/agent/conversations/{quote(conversation_id, safe='')}"
        return self._taken("DELETE", path, seconds=END_SECONDS)

    def _taken(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        user: str | None = None,
        seconds: float | None = LOOK_SECONDS,
    ) -> Mapping[str, Any]:
        headers = {} if user is None else {"Retunable-User": user.encode()}
        reply = AgentClient(self.url).ask(method, path, body, headers=headers, seconds=seconds)
        if reply.status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            raise _refused(reply)
        return reply.body


def _place(run_id: str) -> str:
    return f"/agent/runs/{quote(run_id, safe='')}"


def _refused(reply: Reply) -> Stop:
    return Stop(reply.detail, problem=dict(reply.body))
