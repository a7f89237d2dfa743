"""How a run is, read from what a process knows of it."""

from __future__ import annotations

from retunable.agent.runs.memory import RunMemory
from retunable.agent.runs.views import RunState, RunStatus


def status_of(memory: RunMemory, *, unrecorded: RunState = RunState.RUNNING) -> RunStatus:
    """Return a run's status; ``unrecorded`` is its state where no end is recorded."""
    begun, ended = memory.begun, memory.ended
    if ended is None:
        return RunStatus(
            run_id=begun.run_id,
            conversation_id=begun.conversation_id,
            state=unrecorded,
            begun_at=begun.begun_at,
        )
    return RunStatus(
        run_id=begun.run_id,
        conversation_id=begun.conversation_id,
        state=ended.state,
        begun_at=begun.begun_at,
        ended_at=ended.ended_at,
        text=ended.text,
        stop_reason=ended.stop_reason,
        reason=ended.reason,
        steps=ended.steps,
        tokens=ended.tokens,
    )


def tokens_of(memory: RunMemory) -> int:
    """Return what the recorded steps of a run took."""
    records = [step.record for step in memory.steps.values()]
    return sum(record.input_tokens + record.output_tokens for record in records)
