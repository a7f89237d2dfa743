"""Recorded histories of every release replay: what a run did then is what its body does now."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import dapr.ext.workflow._durabletask.internal.protos as pb
import pytest
from dapr.ext.workflow._durabletask.worker import _Registry

from retunable.agent.loop.turn import MODEL_STEP, TOOL_CALL, WORKFLOW, WORKFLOW_VERSION
from retunable.agent.loop.workflow import Turns, new_registry, run
from tests.replay.replaying import (
    actions_of,
    did_in,
    events_of,
    given_in,
    name_of,
    recorded,
    turns_of,
)

HISTORIES = recorded("histories")


class CountedRegistry(_Registry):
    """Today's bodies; counts how often one is begun."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.begun = 0
        self.add_named_orchestrator(
            WORKFLOW, self._drive, version_name=WORKFLOW_VERSION, is_latest=True
        )

    def _drive(self, ctx: Any, data: Mapping[str, Any]) -> Any:
        self.begun += 1
        return run(ctx, data)


@pytest.mark.parametrize("path", HISTORIES, ids=name_of)
def test_each_turn_of_a_recorded_run_is_taken_the_same_today(path: Path) -> None:
    old: list[pb.HistoryEvent] = []
    for turn in turns_of(events_of(path)):
        assert actions_of(Turns(), old, given_in(turn)) == did_in(turn)
        old += turn


@pytest.mark.parametrize("path", HISTORIES, ids=name_of)
def test_a_worker_that_keeps_a_run_takes_each_turn_the_same_and_begins_it_once(path: Path) -> None:
    registry = CountedRegistry()
    turns = Turns(registry)
    old: list[pb.HistoryEvent] = []
    for turn in turns_of(events_of(path)):
        assert actions_of(turns, old, given_in(turn)) == did_in(turn)
        old += turn
    assert registry.begun == 1


@pytest.mark.parametrize("path", HISTORIES, ids=name_of)
def test_a_turn_that_is_asked_for_again_is_taken_from_the_start(path: Path) -> None:
    turns = Turns()
    old: list[pb.HistoryEvent] = []
    for turn in turns_of(events_of(path)):
        for _ in range(2):
            assert actions_of(turns, old, given_in(turn)) == did_in(turn)
        old += turn


def test_a_body_that_calls_something_else_first_does_not_replay() -> None:
    def broken(ctx: Any, data: Mapping[str, Any]) -> Generator[Any, Any, Any]:
        yield ctx.call_activity(TOOL_CALL, input=dict(data))
        yield ctx.call_activity(MODEL_STEP, input=dict(data))

    registry = new_registry()
    registry.versioned_orchestrators[WORKFLOW][WORKFLOW_VERSION] = broken
    turns = turns_of(events_of(HISTORIES[0]))
    *before, last = turns
    ((status, failure),) = actions_of(
        Turns(registry), [event for turn in before for event in turn], given_in(last)
    )
    assert status == "ORCHESTRATION_STATUS_FAILED"
    assert "NonDeterminism" in str(failure)


def test_there_is_a_history_of_each_kind() -> None:
    assert {path.stem for path in HISTORIES} >= {"one-call", "tools", "two-histories"}
