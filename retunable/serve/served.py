"""What a face needs from an agent; ``DurableAgent`` is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from retunable.agent.records import RunResult
from retunable.agent.status import AgentStatus
from retunable.config.declaration import Declaration
from retunable.config.snapshot import Snapshot


class ServedAgent(Protocol):
    """The seam between a face and the agent behind it."""

    @property
    def declaration(self) -> Declaration: ...
    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def status(self) -> AgentStatus: ...

    async def run(
        self,
        message: str,
        *,
        conversation_id: str | None = None,
        user_id: str | None = None,
        attributes: Mapping[str, str] | None = None,
        run_id: str | None = None,
        deadline: float | None = None,
    ) -> RunResult: ...
