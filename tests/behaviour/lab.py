"""One backend, one model server and the agents started on them: what a test works in."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from retunable.testing import ModelServer, answer
from tests.behaviour.agent_process import AgentProcess
from tests.behaviour.agent_settings import AgentSettings
from tests.behaviour.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from retunable.testing import RecordedRequest
    from tests.behaviour.backend import Backend

ANSWER = "An answer."


class Lab:
    """A context manager on a running backend: the model runs inside, agents end with it."""

    def __init__(self, backend: Backend, folder: Path) -> None:
        self.backend = backend
        self.folder = folder
        self.locked_sidecars = 0
        self._second: dict[str, str] | None = None
        self.model = ModelServer(default=answer(ANSWER))
        self._undo = ExitStack()

    def start_agent(self, settings: AgentSettings | None = None) -> AgentProcess:
        """Start the agent's program and wait until it serves; stopped with the lab."""
        agent = self.begin_agent(settings)
        agent.wait_serving()
        return agent

    def start_replica(self, settings: AgentSettings) -> AgentProcess:
        """Start the program a second time, beside the first; it finds what it left there."""
        folder = self.folder / "replica"
        if self._second is None:
            sidecar = self.backend.another_sidecar(self.folder / "second sidecar")
            self._second = self._undo.enter_context(sidecar)
        agent = AgentProcess(
            folder,
            environment={**self._second, "OPENAI_BASE_URL": self.model.url},
            settings=settings,
        )
        self._undo.callback(agent.stop)
        agent.wait_serving()
        return agent

    def begin_agent(self, settings: AgentSettings | None = None) -> AgentProcess:
        """Start the agent's program without waiting."""
        agent = AgentProcess(
            self.folder / "agent",
            environment={**self.backend.environment, "OPENAI_BASE_URL": self.model.url},
            settings=settings or AgentSettings(),
        )
        self._undo.callback(agent.stop)
        return agent

    def told(self) -> str:
        """Return the system prompt that the model server last received."""
        return self.model.requests[-1].system_prompt

    def asked(self, message: str) -> list[RecordedRequest]:
        """Return the requests of runs that were asked this."""
        return [r for r in self.model.requests if question(r) == message]

    def wait_asked(self, message: str, *, within_seconds: float = 20.0) -> None:
        """Wait until the model is asked for the first time by a run that was asked this."""
        eventually(
            lambda: self.asked(message),
            what=f"a request about {message!r}",
            within_seconds=within_seconds,
        )

    def __enter__(self) -> Self:
        self._undo.enter_context(self.model)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._undo.close()


def question(request: RecordedRequest) -> str:
    """Return what a run was asked, which comes after all that is recalled for it."""
    said: list[str] = [m["content"] for m in request.messages if m["role"] == "user"]
    return said[-1]
