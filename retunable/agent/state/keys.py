"""The keys of one agent in the state store, and its workflow ids. Compatibility data: pinned by a test.

Ids are quoted, so that no id of a caller reaches beyond its own place.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class StateKeys:
    """Keys under ``retunable/<environment>/<agent>/``."""

    agent: str
    environment: str

    @property
    def _root(self) -> str:
        return _root(self.environment, self.agent)

    @property
    def _names(self) -> tuple[str, str]:
        return self.environment, self.agent

    def workflow(self, run_id: str) -> str:
        """The workflow instance of a run: agents of one app share its instance ids."""
        names = [self.agent, run_id] if self.environment == "default" else [*self._names, run_id]
        return ":".join(map(_quoted, names))

    def run(self, run_id: str) -> str:
        """What the run was asked; written once, when it is begun."""
        return f"{self._root}/run/{_quoted(run_id)}"

    def end(self, run_id: str) -> str:
        """How the run ended; written once."""
        return f"{self.run(run_id)}/end"

    def step(self, run_id: str, step: int) -> str:
        """One model call of a run, the first is 1; written once."""
        return f"{self.run(run_id)}/{step}"

    def call(self, run_id: str, step: int, index: int) -> str:
        """One tool call of a step, the first is 0; written once."""
        return f"{self.step(run_id, step)}/{index}"

    def ratings(self, run_id: str) -> str:
        """How users rated a run."""
        return f"{self.run(run_id)}/ratings"

    def conversation(self, conversation_id: str) -> str:
        """A conversation's runs; the last one holds it."""
        return f"{self._root}/conversation/{_quoted(conversation_id)}"

    def conversation_page(self, conversation_id: str, page: int) -> str:
        """Earlier runs of a conversation; the first page is 0."""
        return f"{self.conversation(conversation_id)}/{page}"

    def content(self, checksum: str) -> str:
        """A config, prompt or list of tool schemas by its checksum."""
        return f"{self._root}/content/{_quoted(checksum)}"

    @property
    def index(self) -> str:
        """The ids of the latest runs."""
        return f"{self._root}/runs"

    def index_page(self, page: int) -> str:
        """Ids of earlier runs; the first page is 0."""
        return f"{self.index}/{page}"


def new_run_id() -> str:
    """Return an id of 80 random bits for a run; two that meet are told apart by their input.

    Dapr writes a run's id at each of its some 250 writes in a turn with ten tools, so its length
    counts: 16 characters instead of the 32 of a UUID are 3 % of all that a run writes.
    """
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


def call_id(run_id: str, step: int, index: int) -> str:
    """Return the stable id of a tool call: the same however often it is tried."""
    return f"{run_id}.{step}.{index}"


@lru_cache(maxsize=64)
def _root(environment: str, agent: str) -> str:
    return "/".join(["retunable", _quoted(environment), _quoted(agent)])


def _quoted(text: str) -> str:
    return quote(text, safe="")
