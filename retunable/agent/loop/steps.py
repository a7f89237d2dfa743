"""The two activities of one agent, on its own event loop: a model step and a tool call.

Here the live configuration meets a run: each step takes the snapshot once, and everything that
depends on it is decided here and recorded. What stands recorded wins, and is never done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from retunable.agent.conversations.conversations import Conversations
from retunable.agent.conversations.history import History
from retunable.agent.conversations.transcript import last_text, messages_so_far
from retunable.agent.loop.choices import Busy, Choices, SnapshotSource
from retunable.agent.loop.decision import CallTools, Decision, Failed, Finished, stopped
from retunable.agent.loop.flights import Flights
from retunable.agent.loop.patience import patiently
from retunable.agent.loop.pinning import Chosen
from retunable.agent.loop.result_spacing import ResultSpacing
from retunable.agent.loop.turn import FORM
from retunable.agent.models.call import ModelCalls, Prepared
from retunable.agent.models.model import Message, ModelReply
from retunable.agent.models.prices import Cost, Prices
from retunable.agent.runs.book import RunBook
from retunable.agent.runs.documents import Ended, Step, ToolResult
from retunable.agent.runs.memory import RunMemory
from retunable.agent.runs.records import StepRecord
from retunable.agent.runs.telling import NotTold, TellsRuns
from retunable.agent.runs.views import RunState
from retunable.agent.state.contents import Contents
from retunable.agent.state.keys import call_id
from retunable.agent.state.store import TooLarge
from retunable.agent.tools.call import call_tool
from retunable.agent.tools.code import tool_code
from retunable.agent.tools.threads import ToolThreads
from retunable.agent.tools.tool import Tool
from retunable.agent.users import Users
from retunable.config.agent_config import AgentConfig
from retunable.config.constraints import Constraints
from retunable.config.package import PACKAGE_VERSION
from retunable.errors import RunForgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Where the runs of one agent are kept; ``met`` is told of each run that has a step here."""

    met: Callable[[str], None]
    book: RunBook
    contents: Contents
    conversations: Conversations
    history: History
    telling: TellsRuns = field(default_factory=NotTold)


class Steps:
    """Runs the steps of one agent's runs."""

    def __init__(
        self,
        source: SnapshotSource,
        *,
        constraints: Constraints,
        calls: ModelCalls,
        tools: Mapping[str, Tool[..., Any]],
        kept: Kept,
        replica: str,
        threads: ToolThreads | None = None,
        users: Users | None = None,
        prices: Prices | None = None,
    ) -> None:
        self._source = source
        self._choices = Choices(
            source,
            constraints=constraints,
            contents=kept.contents,
            conversations=kept.conversations,
            history=kept.history,
            users=users or Users(),
            tool_code=cache(lambda: tool_code(tools)),
        )
        self._calls = calls
        self._tools = tools
        self._kept = kept
        self._replica = replica
        self._threads = threads or ToolThreads()
        self._prices = prices
        self._spacing = ResultSpacing()
        self._flights = Flights()

    async def model_step(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Run one model step, or return what stands recorded of it; see ``turn`` for the form."""
        _check_form(data)
        key = (data["run_id"], data["step"], None)
        try:
            result: dict[str, Any] = await self._flights.join(key, lambda: self._model_step(data))
        except asyncio.CancelledError:
            if self._is_over(data["run_id"]):
                return _END  # stopped by somebody, and that is recorded
            raise
        return result

    async def tool_call(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Run one tool call, or find it recorded; its result goes to the state store only."""
        _check_form(data)
        key = (data["run_id"], data["step"], data["call"])
        try:
            await self._flights.join(key, lambda: self._tool_call(data))
        except asyncio.CancelledError:
            if not self._is_over(data["run_id"]):
                raise
        if data["siblings"]:
            await self._spacing.take_turn(data["run_id"], data["step"])
        return {"v": FORM}

    async def end(self, run_id: str) -> None:
        """Cancel what runs here for one run."""
        await self._flights.end(run_id)

    async def close(self) -> None:
        """Cancel what runs here; the sidecar hands it to the next worker."""
        await self._flights.close()

    def _is_over(self, run_id: str) -> bool:
        memory = self._kept.book.remembered(run_id)
        return memory is not None and memory.ended is not None

    async def _model_step(self, data: Mapping[str, Any]) -> dict[str, Any]:
        run_id, number = data["run_id"], data["step"]
        self._kept.met(run_id)
        try:
            memory = await patiently(self._kept.book.at_step, run_id, number)
            if memory is not None and memory.ended is not None:
                self._kept.telling.ended(memory)  # whoever recorded it may have died since
            if memory is None or memory.ended is not None or memory.begun.message is None:
                return _END
            step = memory.steps.get(number) or await self._new_step(memory, number)
        except RunForgotten:
            return _END
        if step is None:
            return _END
        return await self._after(memory, step)

    async def _new_step(self, memory: RunMemory, number: int) -> Step | None:
        """Make one model call and record it; None where the run ends without it."""
        snapshot = await self._source.snapshot()
        try:
            chosen = await self._choices.of_step(memory, number, snapshot)
        except Busy as busy:
            reason = f"its conversation was busy with run {busy.holder}"
            await self._end(memory, state=RunState.FAILED, reason=reason, busy_with=busy.holder)
            return None
        if number > chosen.effective.config.max_iterations:
            await self._end_at_limit(memory, number, chosen.effective.config)
            return None
        if number == 1:
            self._kept.telling.began(memory.begun, chosen.effective, chosen.exposed)
        told = (*(memory.history or ()), *self._messages(memory, number))
        prepared = self._calls.prepare(chosen.effective, told, step=number)
        started_at = timestamp()
        keeping = asyncio.create_task(patiently(self._kept.contents.put, prepared.contents))
        try:
            outcome = await self._calls.ask(prepared, chosen.effective, snapshot, step=number)
            await keeping
        finally:
            keeping.cancel()
        record = self._record(number, chosen, prepared, outcome.reply, started_at)
        where = chosen.exposed if number == 1 else None
        step = Step(record=record, decision=outcome.decision, judged=outcome.judged, exposed=where)
        return await self._keep_step(memory, step)

    async def _end_at_limit(self, memory: RunMemory, number: int, config: AgentConfig) -> None:
        """End a run whose limit was lowered below the steps that it took.

        What the model said on the way was never judged as an answer, or did not pass.
        """
        text = last_text(self._messages(memory, number, keep_rejected=False))
        if text and not await self._calls.may_be_given(config, text):
            text = ""
        stop = stopped(config.max_iterations, text)
        await self._end(
            memory, state=RunState.FINISHED, text=stop.text, stop_reason=stop.stop_reason
        )

    async def _keep_step(self, memory: RunMemory, step: Step) -> Step:
        try:
            return await patiently(self._kept.book.record_step, memory, step)
        except TooLarge:
            reason = "the model's reply is larger than the state store takes (4 MiB)"
            failed = Failed(reason, "reply_too_large")
            smaller = replace(step, decision=failed)
            return await patiently(self._kept.book.record_step, memory, smaller)

    async def _after(self, memory: RunMemory, step: Step) -> dict[str, Any]:
        """Return what the workflow is to do after a recorded step; end the run where it ends it."""
        match step.decision:
            case Finished(text, stop_reason):
                await self._end(memory, state=RunState.FINISHED, text=text, stop_reason=stop_reason)
                return _END
            case Failed(reason):
                await self._end(memory, state=RunState.FAILED, reason=reason)
                return _END
            case None:
                return _END
            case _:
                calls = list(step.runnable)
                return {"v": FORM, "next": "tools" if calls else "step", "calls": calls}

    async def _end(
        self,
        memory: RunMemory,
        *,
        state: RunState,
        text: str | None = None,
        stop_reason: Any = None,
        reason: str | None = None,
        busy_with: str | None = None,
    ) -> None:
        records = [step.record for step in memory.steps.values()]
        ended = Ended(
            state=state,
            ended_at=timestamp(),
            steps=len(records),
            tokens=sum(record.input_tokens + record.output_tokens for record in records),
            text=text,
            stop_reason=stop_reason,
            reason=reason,
            busy_with=busy_with,
        )
        await patiently(self._kept.book.end, memory, ended)

    def _messages(
        self, memory: RunMemory, number: int, *, keep_rejected: bool = True
    ) -> tuple[Message, ...]:
        steps = [memory.steps[n] for n in range(1, number)]
        asked = memory.begun.message or ""
        return messages_so_far(asked, steps, memory.results, keep_rejected=keep_rejected)

    def _record(
        self,
        number: int,
        chosen: Chosen,
        prepared: Prepared,
        reply: ModelReply | None,
        started_at: str,
    ) -> StepRecord:
        effective = chosen.effective
        tokens = (reply.input_tokens, reply.output_tokens) if reply else (0, 0)
        cost = self._cost(effective.config, tokens)
        return StepRecord(
            step=number,
            replica=self._replica,
            revision=effective.revision,
            effective_checksum=effective.checksum,
            version=effective.version,
            version_checksum=effective.version_checksum,
            generation=effective.generation,
            variant=effective.variant,
            flags=effective.flags,
            override_keys=effective.override_keys,
            provider=effective.config.provider,
            model=reply.model if reply else None,
            system_prompt_checksum=prepared.system_prompt_checksum,
            tools_checksum=prepared.tools_checksum,
            package=PACKAGE_VERSION,
            input_tokens=tokens[0],
            output_tokens=tokens[1],
            started_at=started_at,
            ended_at=timestamp(),
            unpinned=chosen.unpinned,
            rollout=effective.rollout,
            rollout_stage=effective.rollout_stage,
            cost=cost.amount,
            currency=cost.currency,
        )

    def _cost(self, config: AgentConfig, tokens: tuple[int, int]) -> Cost:
        if self._prices is None:
            return Cost()
        return self._prices.of_call(config.provider, config.model or "", tokens)

    async def _tool_call(self, data: Mapping[str, Any]) -> None:
        run_id, number, index = data["run_id"], data["step"], data["call"]
        memory = await patiently(self._kept.book.with_call, run_id, number, index)
        if memory is None or (number, index) in memory.results:
            return
        decision: Decision | None = memory.steps[number].decision
        if not isinstance(decision, CallTools):
            return  # forgotten meanwhile
        call = decision.calls[index].call
        started_at = timestamp()
        tool = self._tools.get(call.name)
        if tool is None:
            text, ok = f"The tool {call.name!r} is no longer here.", False
        else:
            output = await call_tool(
                tool,
                call.arguments,
                threads=self._threads,
                call_id=call_id(run_id, number, index),
            )
            text, ok = output.text, output.ok
        result = ToolResult(
            text=text, ok=ok, started_at=started_at, ended_at=timestamp(), replica=self._replica
        )
        try:
            await self._keep_result(memory, number, index, result)
        except RunForgotten:
            return

    async def _keep_result(
        self, memory: RunMemory, step: int, index: int, result: ToolResult
    ) -> None:
        book = self._kept.book
        try:
            await patiently(book.record_result, memory, step, index, result)
        except TooLarge:
            note = "The result is larger than the state store takes (4 MiB)."
            smaller = replace(result, text=note, ok=False)
            await patiently(book.record_result, memory, step, index, smaller)


_END = {"v": FORM, "next": "end", "calls": []}


def timestamp() -> str:
    """Return the time of now, UTC in ISO 8601 to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _check_form(data: Mapping[str, Any]) -> None:
    if data.get("v") != FORM:
        raise ValueError(f"a run of form {data.get('v')!r}, this program reads {FORM}")
