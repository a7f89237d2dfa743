"""What a worker's answer to a turn means: the next events, and what else has to happen.

Pure: a turn and its answer in, an outcome out. Where it is stored, and to whom work is given, is
decided by others. Events and actions are the protocol's own messages (``events`` says why).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from retunable.sidecar.workflow import events
from retunable.sidecar.workflow.events import NEVER, Event, Text, nanoseconds
from retunable.sidecar.workflow.instance import Instance, Status
from retunable.sidecar.workflow.protos import pb

VERSION_NOT_AVAILABLE: Final = pb.VERSION_NOT_AVAILABLE
PATCH_MISMATCH: Final = pb.PATCH_MISMATCH


@dataclass(frozen=True, slots=True)
class Timer:
    """What is to be delivered at a time; ``delay`` is how far away that was when it was set."""

    id: int
    at: int
    delay: int
    event: Event


@dataclass(frozen=True, slots=True)
class Child:
    """A workflow to start; ``task_id`` is what its parent awaits, None where it is detached."""

    id: str
    name: str
    input: Text
    task_id: int | None
    trace: pb.TraceContext | None = None
    scheduled_for: int | None = None


@dataclass(frozen=True, slots=True)
class Stalled:
    """No worker that is connected can go on with it; the turn is taken back."""

    reason: pb.StalledReason.ValueType
    description: str


@dataclass(frozen=True, slots=True)
class ContinuedAsNew:
    """It goes on with a new history; ``carryover`` are the events that it has not used."""

    input: Text
    carryover: tuple[Event, ...]
    custom_status: Text


@dataclass(frozen=True, slots=True)
class Advanced:
    """The turn's events and what followed from them.

    ``answers`` are results that the sidecar itself knows at once: work it cannot give to anybody.
    ``completed`` is the last event, where the workflow is over.
    """

    instance: Instance
    history: tuple[Event, ...]
    tasks: tuple[Event, ...]
    timers: tuple[Timer, ...]
    children: tuple[Child, ...]
    terminated: tuple[pb.TerminateWorkflowAction, ...]
    answers: tuple[Event, ...]
    completed: Event | None
    custom_status: Text


Outcome: TypeAlias = Advanced | ContinuedAsNew | Stalled


def complete_turn(
    instance: Instance,
    taken: list[Event],
    answer: pb.WorkflowResponse,
    *,
    app_id: str,
    now: int,
) -> Outcome:
    """Return what an answer means; ``taken`` are the turn's new events, workflowStarted first."""
    stalled = _stalled(instance, answer)
    if stalled is not None:
        return stalled
    for action in answer.actions:
        if action.completeWorkflow.workflowStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            return ContinuedAsNew(
                input=_given(action.completeWorkflow, "result"),
                carryover=tuple(action.completeWorkflow.carryoverEvents),
                custom_status=_given(answer, "customStatus"),
            )
    turn = _Turn(instance, taken, answer, app_id=app_id, now=now)
    for action in answer.actions:
        turn.apply(action)
    return turn.outcome()


class _Turn:
    """Gathers what the actions of one answer amount to."""

    def __init__(
        self,
        instance: Instance,
        taken: list[Event],
        answer: pb.WorkflowResponse,
        *,
        app_id: str,
        now: int,
    ) -> None:
        self._instance = instance
        self._answer = answer
        self._app_id = app_id
        self._now = now
        self._began = nanoseconds(taken[0].timestamp)
        self._history = [_versioned(instance, taken[0], answer), *taken[1:]]
        self._tasks: list[Event] = []
        self._timers: list[Timer] = []
        self._children: list[Child] = []
        self._terminated: list[pb.TerminateWorkflowAction] = []
        self._answers: list[Event] = []
        self._completed: Event | None = None

    def apply(self, action: pb.WorkflowAction) -> None:
        """Take one action in."""
        match action.WhichOneof("workflowActionType"):
            case "scheduleTask":
                self._schedule_task(action)
            case "createTimer":
                self._create_timer(action)
            case "createChildWorkflow":
                self._create_child(action)
            case "createDetachedWorkflow":
                self._create_detached(action)
            case "terminateWorkflow":
                self._terminated.append(action.terminateWorkflow)
            case "completeWorkflow":
                self._complete(action)
            case unknown:
                self._refuse(action, str(unknown))

    def outcome(self) -> Advanced:
        """Return all of it."""
        done = self._completed
        status = Status.RUNNING if done is None else Status(done.executionCompleted.workflowStatus)
        version = self._history[0].workflowStarted.version
        return Advanced(
            instance=replace(
                self._instance,
                length=self._instance.length + len(self._history),
                status=status,
                version=self._instance.version or version.name,
                patches=(*self._instance.patches, *version.patches),
            ),
            history=tuple(self._history),
            tasks=tuple(self._tasks),
            timers=tuple(self._timers),
            children=tuple(self._children),
            terminated=tuple(self._terminated),
            answers=tuple(self._answers),
            completed=done,
            custom_status=_given(self._answer, "customStatus"),
        )

    def _schedule_task(self, action: pb.WorkflowAction) -> None:
        wanted = action.scheduleTask
        scheduled = self._record(
            action,
            taskScheduled=pb.TaskScheduledEvent(
                name=wanted.name,
                version=_given(wanted, "version"),
                input=_given(wanted, "input"),
                taskExecutionId=wanted.taskExecutionId,
                historyPropagationScope=wanted.historyPropagationScope,
            ),
        )
        refusal = self._not_here(action, wanted.historyPropagationScope)
        if refusal is None:
            self._tasks.append(scheduled)
        else:
            self._answers.append(events.task_failed(self._now, scheduled, refusal))

    def _create_timer(self, action: pb.WorkflowAction) -> None:
        wanted = action.createTimer
        created = pb.TimerCreatedEvent(fireAt=wanted.fireAt)
        if wanted.HasField("name"):
            created.name = wanted.name
        origin = wanted.WhichOneof("origin")
        if origin is not None:
            getattr(created, origin).CopyFrom(getattr(wanted, origin))
        self._record(action, timerCreated=created)
        fire_at = nanoseconds(wanted.fireAt)
        if fire_at >= NEVER:
            return
        # The workflow reckoned from its own clock, which stood at the turn's beginning.
        delay = max(0, fire_at - self._began)
        self._timers.append(
            Timer(
                id=action.id,
                at=min(fire_at, self._now + delay),
                delay=delay,
                event=events.timer_fired(timer_id=action.id, fire_at=wanted.fireAt),
            )
        )

    def _create_child(self, action: pb.WorkflowAction) -> None:
        wanted = action.createChildWorkflow
        child_id = wanted.instanceId or f"{self._instance.id}:{action.id:04x}"
        created = pb.ChildWorkflowInstanceCreatedEvent(
            instanceId=child_id,
            name=wanted.name,
            version=_given(wanted, "version"),
            input=_given(wanted, "input"),
            historyPropagationScope=wanted.historyPropagationScope,
            retryParentInstanceInfo=_given(wanted, "retryParentInstanceInfo"),
        )
        self._record(action, childWorkflowInstanceCreated=created)
        refusal = self._not_here(action, wanted.historyPropagationScope)
        if refusal is not None:
            self._answers.append(events.child_failed(self._now, task_id=action.id, failure=refusal))
            return
        self._children.append(
            Child(id=child_id, name=wanted.name, input=_given(wanted, "input"), task_id=action.id)
        )

    def _create_detached(self, action: pb.WorkflowAction) -> None:
        wanted = action.createDetachedWorkflow
        created = pb.DetachedWorkflowInstanceCreatedEvent(instanceId=wanted.instanceId)
        self._record(action, detachedWorkflowInstanceCreated=created)
        scheduled = wanted.HasField("scheduledStartTimestamp")
        self._children.append(
            Child(
                id=wanted.instanceId,
                name=wanted.name,
                input=_given(wanted, "input"),
                task_id=None,
                trace=_given(wanted, "parentTraceContext"),
                scheduled_for=nanoseconds(wanted.scheduledStartTimestamp) if scheduled else None,
            )
        )

    def _complete(self, action: pb.WorkflowAction) -> None:
        wanted = action.completeWorkflow
        if self._completed is None:
            self._end(
                action.id,
                wanted.workflowStatus,
                result=_given(wanted, "result"),
                failure=_given(wanted, "failureDetails"),
            )

    def _refuse(self, action: pb.WorkflowAction, kind: str) -> None:
        message = f"the embedded sidecar does not serve the action {kind}; use Dapr for this"
        failure = events.failure(kind="UnservedAction", message=message)
        if self._completed is None:
            self._end(action.id, pb.ORCHESTRATION_STATUS_FAILED, result=None, failure=failure)

    def _end(
        self,
        action_id: int,
        status: pb.OrchestrationStatus.ValueType,
        *,
        result: Text,
        failure: pb.TaskFailureDetails | None,
    ) -> None:
        self._completed = events.execution_completed(
            self._now, id=action_id, status=status, result=result, failure=failure
        )
        self._history.append(self._completed)

    def _not_here(
        self, action: pb.WorkflowAction, scope: pb.HistoryPropagationScope.ValueType
    ) -> pb.TaskFailureDetails | None:
        """Return why work cannot be given to this app's worker."""
        target = action.router.targetAppID
        if target not in ("", self._app_id):
            return events.failure(
                kind="UnservedApp",
                message=f"the embedded sidecar serves {self._app_id} alone, not {target}; "
                "use Dapr for work in other apps",
            )
        if scope != pb.HISTORY_PROPAGATION_SCOPE_NONE:
            return events.failure(
                kind="UnservedPropagation",
                message="the embedded sidecar does not propagate histories; use Dapr for this",
            )
        return None

    def _record(self, action: pb.WorkflowAction, **kind: object) -> Event:
        event = pb.HistoryEvent(
            eventId=action.id,
            timestamp=events.timestamp(self._now),
            router=pb.TaskRouter(sourceAppID=self._app_id),
            **kind,  # type: ignore[arg-type]
        )
        self._history.append(event)
        return event


def _stalled(instance: Instance, answer: pb.WorkflowResponse) -> Stalled | None:
    for action in answer.actions:
        if action.WhichOneof("workflowActionType") == "workflowVersionNotAvailable":
            return Stalled(VERSION_NOT_AVAILABLE, f"Version not available: {instance.version}")
    patches = tuple(answer.version.patches)
    if patches[: len(instance.patches)] == instance.patches:
        return None
    return Stalled(
        PATCH_MISMATCH,
        f"Patch mismatch. History patches: [{', '.join(instance.patches)}], "
        f"current patches: [{', '.join(patches)}]. ",
    )


def _versioned(instance: Instance, began: Event, answer: pb.WorkflowResponse) -> Event:
    """Note in a turn's first event what its code called itself, patches only where they are new."""
    name, patches = answer.version.name, answer.version.patches[len(instance.patches) :]
    if not name and not patches:
        return began
    version = pb.WorkflowVersion(patches=patches)
    if name:
        version.name = name
    return events.workflow_started(nanoseconds(began.timestamp), version)


def _given(message: Any, field: str) -> Any:
    """Return a part of a message, or None where it is absent."""
    return getattr(message, field) if message.HasField(field) else None
