"""An agent without Dapr behind it: a real snapshot, a status and an answer set by the test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from retunable.agent.records import RunResult
from retunable.agent.status import AgentStatus
from retunable.config.agent_config import AgentConfig
from retunable.config.build import build
from retunable.config.declaration import Declaration, declare
from retunable.config.items import Item
from retunable.config.snapshot import Snapshot
from retunable.errors import NotReady
from retunable.live.health import Status
from retunable.live.stream_health import StreamState


@dataclass(frozen=True, kw_only=True)
class Asked:
    message: str
    conversation_id: str | None
    user_id: str | None
    attributes: Mapping[str, str] | None
    run_id: str | None
    deadline: float | None


def an_answer(asked: Asked) -> RunResult:
    return RunResult(
        text=f"about {asked.message}",
        run_id=asked.run_id or "run-1",
        version=None,
        version_checksum=None,
        effective_checksum="1:sha256:00",
        steps=(),
        tokens=7,
        stop_reason="answer",
    )


READY = AgentStatus(state=Status.READY, stream=StreamState.LIVE, age_seconds=0.5)


@dataclass(kw_only=True)
class StandInAgent:
    declaration: Declaration = field(
        default_factory=lambda: declare(
            "config-aware-agent",
            defaults=AgentConfig(role="Assistant", goal="Help", model="offline"),
        )
    )
    items: Mapping[str, Item] | None = field(default_factory=dict)
    revision: int = 1
    status: AgentStatus = READY
    answer: Callable[[Asked], RunResult] = an_answer
    asked: list[Asked] = field(default_factory=list)

    @property
    def snapshot(self) -> Snapshot:
        if self.items is None:
            raise NotReady("nothing was ever read", part="configuration store")
        built = build(self.declaration, self.items, store="redis")
        return replace(built.snapshot, revision=self.revision)

    async def run(
        self,
        message: str,
        *,
        conversation_id: str | None = None,
        user_id: str | None = None,
        attributes: Mapping[str, str] | None = None,
        run_id: str | None = None,
        deadline: float | None = None,
    ) -> RunResult:
        asked = Asked(
            message=message,
            conversation_id=conversation_id,
            user_id=user_id,
            attributes=attributes,
            run_id=run_id,
            deadline=deadline,
        )
        self.asked.append(asked)
        return self.answer(asked)
