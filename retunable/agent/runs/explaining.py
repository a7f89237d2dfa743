"""Puts together what is kept of a run: its steps with the contents that their checksums name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from retunable.agent.guardrails.check import CheckResult
from retunable.agent.loop.decision import CallTools, Failed, Finished, PlannedCall, Rejected
from retunable.agent.runs.book import RunBook
from retunable.agent.runs.documents import Step
from retunable.agent.runs.memory import RunMemory
from retunable.agent.runs.runs import Runs
from retunable.agent.runs.views import (
    ExplainedCall,
    ExplainedCheck,
    ExplainedStep,
    Explanation,
    RunState,
)
from retunable.agent.state.contents import Contents
from retunable.agent.state.keys import call_id
from retunable.errors import RunUnknown
from retunable.waiting import wait_until_set

POLL_SECONDS: Final = 0.5


class Explaining:
    """Explains the runs of one agent, over or not."""

    def __init__(self, runs: Runs, book: RunBook, contents: Contents) -> None:
        self._runs = runs
        self._book = book
        self._contents = contents

    async def explain(self, run_id: str) -> Explanation:
        """Return everything that is kept of a run."""
        memory = await self._load(run_id)
        begun = memory.begun
        gone = begun.message is None
        return Explanation(
            status=await self._runs.state(run_id),
            agent=begun.agent,
            environment=begun.environment,
            pin=begun.pin,
            replica=begun.replica,
            message=begun.message,
            user_id=begun.user_id,
            attributes=None if gone else begun.attributes,
            steps=await self._steps(memory),
        )

    async def follow(self, run_id: str) -> AsyncIterator[ExplainedStep]:
        """Yield steps as they come and as their tool results come, until the run is over."""
        told: dict[int, ExplainedStep] = {}
        while True:
            state = (await self._runs.state(run_id)).state
            memory = await self._load(run_id)
            news = memory.news
            for step in await self._steps(memory):
                if told.get(step.record.step) != step:
                    told[step.record.step] = step
                    yield step
            if state is not RunState.RUNNING:
                return
            await wait_until_set(news, within_seconds=POLL_SECONDS)

    async def _load(self, run_id: str) -> RunMemory:
        memory = await self._book.load(run_id)
        if memory is None:
            raise RunUnknown(run_id)
        return memory

    async def _steps(self, memory: RunMemory) -> tuple[ExplainedStep, ...]:
        steps = [memory.steps[number] for number in sorted(memory.steps)]
        names = [name for step in steps for name in _names(step)]
        contents = await self._contents.get_many(names)
        return tuple(_explained(step, memory, contents) for step in steps)


def _names(step: Step) -> tuple[str, str, str]:
    record = step.record
    return record.effective_checksum, record.system_prompt_checksum, record.tools_checksum


def _explained(step: Step, memory: RunMemory, contents: Mapping[str, Any]) -> ExplainedStep:
    config, prompt, tools = (contents.get(name) for name in _names(step))
    text: str | None = None
    notice: str | None = None
    calls: tuple[ExplainedCall, ...] = ()
    match step.decision:
        case Finished(text, _):
            pass
        case Failed(notice):
            pass
        case Rejected(text, notice):
            pass
        case CallTools(text, planned):
            number = step.record.step
            calls = tuple(_call(memory, number, n, plan) for n, plan in enumerate(planned))
    return ExplainedStep(
        record=step.record,
        config=config,
        system_prompt=prompt,
        tools=None if tools is None else tuple(tools),
        text=text,
        notice=notice,
        calls=calls,
        checks=tuple(
            _check(one.call, check) for one in step.judged for check in one.verdict.checks
        ),
    )


def _check(call: int | None, check: CheckResult) -> ExplainedCheck:
    return ExplainedCheck(
        call=call,
        name=check.name,
        score=check.score,
        threshold=check.threshold,
        passed=check.passed,
        broken=check.broken,
        reason=check.reason,
    )


def _call(memory: RunMemory, step: int, index: int, plan: PlannedCall) -> ExplainedCall:
    result = memory.results.get((step, index))
    return ExplainedCall(
        call_id=call_id(memory.begun.run_id, step, index),
        name=plan.call.name,
        arguments=plan.call.arguments,
        refusal=plan.refusal,
        result=result.text if result else None,
        ok=result.ok if result else None,
        started_at=result.started_at if result else None,
        ended_at=result.ended_at if result else None,
        replica=result.replica if result else None,
    )
