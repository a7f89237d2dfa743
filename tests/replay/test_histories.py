"""Recorded histories of every release replay: what a run did then is what its body does now.

The SDK has no public replayer; the private executor that its worker uses is pinned here.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import dapr.ext.workflow._durabletask.internal.protos as pb
import pytest
from dapr.ext.workflow._durabletask.worker import _Registry
from google.protobuf.json_format import MessageToDict, ParseDict

from retunable.agent.loop.turn import MODEL_STEP, TOOL_CALL, WORKFLOW, WORKFLOW_VERSION
from retunable.agent.loop.workflow import Turns, drive, new_registry

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*/*.json"))
NAMES = [f"{path.parent.name} {path.stem}" for path in HISTORIES]


def events_of(path: Path) -> list[pb.HistoryEvent]:
    return [ParseDict(event, pb.HistoryEvent()) for event in json.loads(path.read_text())]


def turns_of(events: list[pb.HistoryEvent]) -> list[list[pb.HistoryEvent]]:
    """Cut a history where the sidecar handed the workflow over to a worker."""
    turns: list[list[pb.HistoryEvent]] = []
    for event in events:
        if event.HasField("workflowStarted"):
            turns.append([])
        turns[-1].append(event)
    return turns


def given_in(turn: list[pb.HistoryEvent]) -> list[pb.HistoryEvent]:
    """Return what the worker was told in a turn; the rest is what it did."""
    done = ("taskScheduled", "executionCompleted")
    return [event for event in turn if event.WhichOneof("eventType") not in done]


def did_in(turn: list[pb.HistoryEvent]) -> list[tuple[str, Any]]:
    """Return what a worker did in a turn of the past, as ``actions_of`` says it."""
    did: list[tuple[str, Any]] = []
    for event in turn:
        match event.WhichOneof("eventType"):
            case "taskScheduled":
                task = event.taskScheduled
                did.append((task.name, json.loads(task.input.value)))
            case "executionCompleted":
                did.append(("completed", json.loads(event.executionCompleted.result.value)))
    return did


def actions_of(turns: Turns, old: list[Any], new: list[Any]) -> list[tuple[str, Any]]:
    """Let today's body take the same turn."""
    request = pb.WorkflowRequest(instanceId="golden", pastEvents=old, newEvents=new)
    actions: list[tuple[str, Any]] = []
    for action in turns.take(request, token="").actions:
        if action.HasField("scheduleTask"):
            task = action.scheduleTask
            actions.append((task.name, json.loads(task.input.value)))
            continue
        (said,) = (value for value in MessageToDict(action).values() if isinstance(value, dict))
        status = said.get("workflowStatus", "")
        if status == "ORCHESTRATION_STATUS_COMPLETED":
            actions.append(("completed", json.loads(said["result"])))
        else:
            actions.append((status, said.get("failureDetails") or said.get("result")))
    return actions


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
        return drive(ctx, data)


@pytest.mark.parametrize("path", HISTORIES, ids=NAMES)
def test_each_turn_of_a_recorded_run_is_taken_the_same_today(path: Path) -> None:
    old: list[pb.HistoryEvent] = []
    for turn in turns_of(events_of(path)):
        assert actions_of(Turns(), old, given_in(turn)) == did_in(turn)
        old += turn


@pytest.mark.parametrize("path", HISTORIES, ids=NAMES)
def test_a_worker_that_keeps_a_run_takes_each_turn_the_same_and_begins_it_once(path: Path) -> None:
    registry = CountedRegistry()
    turns = Turns(registry)
    old: list[pb.HistoryEvent] = []
    for turn in turns_of(events_of(path)):
        assert actions_of(turns, old, given_in(turn)) == did_in(turn)
        old += turn
    assert registry.begun == 1


@pytest.mark.parametrize("path", HISTORIES, ids=NAMES)
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
