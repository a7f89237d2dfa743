"""One connected worker: what is on its way to it, how much it has, which histories it holds."""

from __future__ import annotations

import asyncio
from typing import Final

from retunable.sidecar.workflow import events
from retunable.sidecar.workflow.changes import Task
from retunable.sidecar.workflow.instance import TurnToken
from retunable.sidecar.workflow.protos import pb
from retunable.sidecar.workflow.turns import Known, Turn

MOST_TURNS: Final = 200
MOST_TASKS: Final = 500
"""So much a worker has at once; the SDK's own limits are 100 of each per core."""


class WorkStream:
    """Work for one worker, in order; ends when ``end`` was called."""

    def __init__(self, *, keeps_histories: bool) -> None:
        self._keeps_histories = keeps_histories
        self._waiting: asyncio.Queue[pb.WorkItem | None] = asyncio.Queue()
        self.known: dict[int, Known] = {}
        self.turns = 0
        self.tasks = 0

    @property
    def takes_turns(self) -> bool:
        """Tell whether there is room for a turn."""
        return self.turns < MOST_TURNS

    @property
    def takes_tasks(self) -> bool:
        """Tell whether there is room for an activity."""
        return self.tasks < MOST_TASKS

    def give_turn(self, turn: Turn, token: TurnToken) -> None:
        """Send a turn."""
        request = pb.WorkflowRequest(
            instanceId=turn.instance_id,
            pastEvents=[events.read(stored) for stored in turn.past],
            newEvents=[
                events.workflow_started(token.at),
                *(events.read(stored) for stored in turn.new),
            ],
        )
        if turn.since:
            request.cachedHistory.eventCount = turn.since
        if self._keeps_histories:
            self.known[turn.key] = Known(turn.generation, turn.length)
        self.turns += 1
        self._waiting.put_nowait(pb.WorkItem(workflowRequest=request, completionToken=str(token)))

    def give_task(self, task: Task) -> None:
        """Send an activity."""
        event = events.read(task.event)
        scheduled = event.taskScheduled
        request = pb.ActivityRequest(
            name=scheduled.name,
            version=scheduled.version if scheduled.HasField("version") else None,
            input=scheduled.input if scheduled.HasField("input") else None,
            workflowInstance=pb.WorkflowInstance(instanceId=task.instance_id),
            taskId=event.eventId,
            taskExecutionId=scheduled.taskExecutionId,
        )
        self.tasks += 1
        item = pb.WorkItem(activityRequest=request, completionToken=str(task.token))
        self._waiting.put_nowait(item)

    def end(self) -> None:
        """Send nothing more."""
        self._waiting.put_nowait(None)

    async def next(self) -> pb.WorkItem | None:
        """Wait for the next piece of work; None at the end."""
        return await self._waiting.get()
