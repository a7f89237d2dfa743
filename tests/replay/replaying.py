"""Takes the turns of a recorded history again, with the bodies of today.

The SDK has no public replayer; the private executor that its worker uses is pinned here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dapr.ext.workflow._durabletask.internal.protos as pb
from google.protobuf.json_format import MessageToDict, ParseDict

from retunable.agent.loop.workflow import Turns


def recorded(folder: str) -> list[Path]:
    """Return the files of a folder of histories, of every release."""
    return sorted(Path(__file__).with_name(folder).glob("*/*.json"))


def name_of(path: Path) -> str:
    """Return the release and what was recorded, for a test's name."""
    return f"{path.parent.name} {path.stem}"


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
    done = ("taskScheduled", "timerCreated", "executionCompleted")
    return [event for event in turn if event.WhichOneof("eventType") not in done]


def did_in(turn: list[pb.HistoryEvent]) -> list[tuple[str, Any]]:
    """Return what a worker did in a turn of the past, as ``actions_of`` says it."""
    did: list[tuple[str, Any]] = []
    for event in turn:
        match event.WhichOneof("eventType"):
            case "taskScheduled":
                task = event.taskScheduled
                did.append((task.name, json.loads(task.input.value)))
            case "timerCreated":
                did.append(("timer", event.timerCreated.fireAt.ToJsonString()))
            case "executionCompleted":
                did.append(("completed", _result(event.executionCompleted.result.value)))
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
        if action.HasField("createTimer"):
            actions.append(("timer", action.createTimer.fireAt.ToJsonString()))
            continue
        (said,) = (value for value in MessageToDict(action).values() if isinstance(value, dict))
        status = said.get("workflowStatus", "")
        if status == "ORCHESTRATION_STATUS_COMPLETED":
            actions.append(("completed", _result(said.get("result", ""))))
        else:
            actions.append((status, said.get("failureDetails") or said.get("result")))
    return actions


def _result(text: str) -> Any:
    """Read a workflow's result; of one that has none nothing is kept."""
    return json.loads(text) if text else None
