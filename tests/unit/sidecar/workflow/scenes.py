"""A store of workflows in memory, and a worker that answers what a test says."""

from __future__ import annotations

import sqlite3
from typing import Any

from retunable.sidecar.workflow import events, operations, schema, tables, turns
from retunable.sidecar.workflow.changes import Changes, Refusal, Task
from retunable.sidecar.workflow.instance import Instance, Status, TaskToken, TurnToken
from retunable.sidecar.workflow.protos import pb
from retunable.sidecar.workflow.turns import Turn

SECOND = 1_000_000_000
APP = "app"


class Scene:
    """Each call is one transaction; ``now`` is the clock."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        for migration in schema.SCHEMA.migrations:
            self.connection.executescript(migration)
        self.now = 1_000 * SECOND

    def start(self, instance_id: str, **request: Any) -> Changes | Refusal:
        return operations.start(
            self.connection,
            pb.CreateInstanceRequest(instanceId=instance_id, name="w", **request),
            app_id=APP,
            now=self.now,
        )

    def begun(self, instance_id: str) -> Instance:
        """Start an instance and let it take its first turn without doing anything."""
        assert isinstance(self.start(instance_id), Changes)
        self.answer(instance_id)
        return self.instance(instance_id)

    def instance(self, instance_id: str) -> Instance:
        found = tables.find(self.connection, instance_id)
        assert found is not None
        return found

    def status(self, instance_id: str) -> Status:
        return self.instance(instance_id).seen_status

    def turn(self, instance_id: str) -> Turn | None:
        return turns.load_turn(self.connection, self.instance(instance_id).key)

    def token(self, instance_id: str) -> TurnToken:
        turn = self.turn(instance_id)
        assert turn is not None, f"{instance_id} has nothing to take"
        return turn.token(self.now)

    def answer(self, instance_id: str, *actions: pb.WorkflowAction, **answer: Any) -> Changes:
        """Take the instance's next turn and answer it."""
        changes = self.answer_to(self.token(instance_id), *actions, **answer)
        assert changes is not None
        return changes

    def answer_to(
        self, token: TurnToken, *actions: pb.WorkflowAction, **answer: Any
    ) -> Changes | None:
        response = pb.WorkflowResponse(actions=actions, **answer)
        return turns.complete_turn(self.connection, token, response, app_id=APP, now=self.now)

    def result(self, task: Task | TaskToken, value: str = "1") -> Changes:
        token = task.token if isinstance(task, Task) else task
        response = pb.ActivityResponse(result=events.text(value))
        return turns.complete_task(self.connection, token, response, now=self.now)

    def raise_event(self, instance_id: str, name: str = "e") -> Changes | Refusal:
        return operations.raise_event(
            self.connection, instance_id, name=name, input=None, now=self.now
        )

    def terminate(self, instance_id: str, *, recurse: bool = False) -> Changes | Refusal:
        return operations.terminate(
            self.connection, instance_id, output=events.text('"x"'), recurse=recurse, now=self.now
        )

    def fire_timers(self) -> tuple[Changes, int | None]:
        return turns.fire_timers(self.connection, now=self.now)

    def history(self, instance_id: str) -> list[str]:
        """Return the kinds of the instance's events."""
        stored = tables.history(self.connection, self.instance(instance_id).key)
        return [str(events.read(one).WhichOneof("eventType")) for one in stored]

    def takes(self, instance_id: str) -> list[str]:
        """Return the kinds of what the next turn would take."""
        turn = self.turn(instance_id)
        new = () if turn is None else turn.new
        return [str(events.read(one).WhichOneof("eventType")) for one in new]

    def rows(self, table: str) -> int:
        (count,) = self.connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        return int(count)


def call(number: int, name: str = "a", **router: str) -> pb.WorkflowAction:
    return pb.WorkflowAction(
        id=number,
        scheduleTask=pb.ScheduleTaskAction(name=name),
        router=pb.TaskRouter(**router),
    )


def timer(number: int, at: int) -> pb.WorkflowAction:
    return pb.WorkflowAction(
        id=number, createTimer=pb.CreateTimerAction(fireAt=events.timestamp(at))
    )


def child(number: int, instance_id: str = "") -> pb.WorkflowAction:
    return pb.WorkflowAction(
        id=number,
        createChildWorkflow=pb.CreateChildWorkflowAction(name="c", instanceId=instance_id),
    )


def complete(number: int = 99, result: str | None = None) -> pb.WorkflowAction:
    return _complete(number, pb.ORCHESTRATION_STATUS_COMPLETED, result=events.text(result))


def fail(number: int = 99) -> pb.WorkflowAction:
    failure = pb.TaskFailureDetails(errorType="E", errorMessage="m")
    return _complete(number, pb.ORCHESTRATION_STATUS_FAILED, failureDetails=failure)


def again(*carryover: pb.HistoryEvent, number: int = 99) -> pb.WorkflowAction:
    return _complete(
        number,
        pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW,
        result=events.text('"next"'),
        carryoverEvents=carryover,
    )


def _complete(
    number: int, status: pb.OrchestrationStatus.ValueType, **details: Any
) -> pb.WorkflowAction:
    completed = pb.CompleteWorkflowAction(workflowStatus=status, **details)
    return pb.WorkflowAction(id=number, completeWorkflow=completed)
