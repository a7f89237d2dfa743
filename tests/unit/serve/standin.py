"""An agent without Dapr behind it: a real snapshot, and runs as the test says that they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Unpack

from retunable.agent.runs.records import RunResult, StepRecord
from retunable.agent.runs.telling import Rating
from retunable.agent.runs.views import (
    ExplainedCall,
    ExplainedStep,
    Explanation,
    RunState,
    RunStatus,
)
from retunable.agent.status import AgentStatus
from retunable.config.agent_config import AgentConfig
from retunable.config.build import build
from retunable.config.declaration import Declaration, declare
from retunable.config.items import Item
from retunable.config.snapshot import Snapshot
from retunable.errors import NotReady, RunUnknown
from retunable.live.health import Status
from retunable.live.stream_health import StreamState
from retunable.serve import caller

BEGUN_AT = "2026-01-01T10:00:00.000+00:00"
ENDED_AT = "2026-01-01T10:00:02.500+00:00"
CHECKSUM = "1:sha256:" + "0" * 64


@dataclass(frozen=True, kw_only=True)
class Asked:
    message: str
    conversation_id: str | None = None
    user_id: str | None = None
    attributes: Mapping[str, str] | None = None
    run_id: str | None = None
    deadline: float | None = None


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


def a_record(step: int = 1) -> StepRecord:
    return StepRecord(
        step=step,
        replica="host:1",
        revision=3,
        effective_checksum=CHECKSUM,
        version=None,
        version_checksum=None,
        generation=None,
        variant="default",
        override_keys=("agent_role",),
        provider="openai",
        model="small",
        system_prompt_checksum="1:sha256:" + "1" * 64,
        tools_checksum="1:sha256:" + "2" * 64,
        package="0.1.0",
        input_tokens=5,
        output_tokens=2,
        started_at=BEGUN_AT,
        ended_at=ENDED_AT,
    )


def a_step(
    step: int = 1, *, text: str = "", calls: tuple[ExplainedCall, ...] = ()
) -> ExplainedStep:
    return ExplainedStep(
        record=a_record(step),
        config={"role": "Assistant"},
        system_prompt="You are Assistant.",
        tools=(),
        text=text,
        calls=calls,
    )


def a_run(run_id: str = "run-1", state: RunState = RunState.FINISHED) -> RunStatus:
    """Return a run in a state, with what a run has then."""
    running = RunStatus(run_id=run_id, conversation_id=None, state=state, begun_at=BEGUN_AT)
    if state is RunState.RUNNING:
        return running
    over = replace(running, ended_at=ENDED_AT, steps=1, tokens=7)
    if state is RunState.FINISHED:
        return replace(over, text="the answer", stop_reason="answer")
    return replace(over, reason="why") if state is RunState.FAILED else over


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
    kept: dict[str, RunStatus] = field(default_factory=dict)
    """Runs by id, the latest last."""
    steps: tuple[ExplainedStep, ...] = ()
    """What happened in every run."""
    conversations: dict[str, int] = field(default_factory=dict)
    """How many runs each conversation had."""
    rated: list[tuple[str, Rating, str | None]] = field(default_factory=list)
    away: Exception | None = None
    """What every question about runs raises."""

    @property
    def snapshot(self) -> Snapshot:
        if self.items is None:
            raise NotReady("nothing was ever read", part="configuration store")
        built = build(self.declaration, self.items, store="redis")
        return replace(built.snapshot, revision=self.revision)

    async def run(
        self, message: str, *, deadline: float | None = None, **words: Unpack[caller.Asked]
    ) -> RunResult:
        asked = Asked(message=message, deadline=deadline, **words)
        self.asked.append(asked)
        result = self.answer(asked)
        self.kept[result.run_id] = replace(a_run(result.run_id), text=result.text)
        return result

    async def begin(self, message: str, **words: Unpack[caller.Asked]) -> RunStatus:
        if self.away:
            raise self.away
        asked = Asked(message=message, **words)
        self.asked.append(asked)
        status = a_run(asked.run_id or "run-1", RunState.RUNNING)
        self.kept[status.run_id] = status
        return status

    async def run_state(self, run_id: str) -> RunStatus:
        if self.away:
            raise self.away
        if run_id not in self.kept:
            raise RunUnknown(run_id)
        return self.kept[run_id]

    async def runs(self, *, limit: int = 50) -> tuple[RunStatus, ...]:
        if self.away:
            raise self.away
        return tuple(reversed(list(self.kept.values())[-limit:]))

    async def explain(self, run_id: str) -> Explanation:
        return Explanation(
            status=await self.run_state(run_id),
            agent=self.declaration.agent,
            environment=self.declaration.environment,
            pin="turn",
            replica="host:1",
            message="hello",
            user_id="zoe",
            attributes={"plan": "pro"},
            steps=self.steps,
        )

    async def follow(self, run_id: str) -> AsyncIterator[ExplainedStep]:
        for step in self.steps:
            yield step
        status = await self.run_state(run_id)
        if status.state is RunState.RUNNING:
            self.kept[run_id] = replace(a_run(run_id), text="the answer")

    async def stop_run(self, run_id: str) -> RunStatus:
        status = await self.run_state(run_id)
        if status.state is RunState.RUNNING:
            self.kept[run_id] = a_run(run_id, RunState.STOPPED)
        return self.kept[run_id]

    async def feedback(self, run_id: str, rating: Rating, *, user_id: str | None = None) -> None:
        await self.run_state(run_id)
        self.rated.append((run_id, rating, user_id))

    async def forget(self, conversation_id: str) -> int:
        if self.away:
            raise self.away
        return self.conversations.pop(conversation_id, 0)
