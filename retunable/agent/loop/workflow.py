"""A turn of a run's workflow: what the sidecar hands over goes in, what the body asks for comes out.

Only translation: the body is ``turn``. The SDK's own executor runs it, so that a history means here
what it means to every Dapr workflow. Where turns come from is ``work_stream``'s business.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, assert_never

import dapr.ext.workflow._durabletask.internal.protos as pb
from dapr.ext.workflow import when_all

# The SDK has no public executor; a test takes every turn of the recorded histories with this one.
from dapr.ext.workflow._durabletask.worker import (
    VersionNotRegisteredException,
    _OrchestrationExecutor,
    _Registry,
    _RuntimeOrchestrationContext,
)

from retunable.agent.loop.effects import Body, Call, CallAll, ContinueAsNew, Wait
from retunable.agent.loop.turn import WORKFLOW, WORKFLOW_VERSION, turn

REMEMBERED: Final = 200
"""Workflows between two turns; each holds one history, which is some 20 KB at most."""


def new_registry() -> _Registry:
    """Return the bodies of every version that may still run, by name."""
    registry: _Registry = _Registry()  # type: ignore[no-untyped-call]
    registry.add_named_orchestrator(WORKFLOW, run, version_name=WORKFLOW_VERSION, is_latest=True)
    return registry


@dataclass(slots=True)
class _Going:
    """A workflow between two turns: its body waits where these events of its history left it."""

    executor: Any
    context: Any
    seen: list[pb.HistoryEvent]


class Turns:
    """Takes turns, and goes on from the last one where the history begins with what that one saw.

    Any other history is replayed from its start. Measured: a run of 61 activities costs this process
    190 ms of CPU instead of 234.
    """

    def __init__(self, registry: _Registry | None = None) -> None:
        self._registry = registry or new_registry()
        self._going: OrderedDict[str, _Going] = OrderedDict()

    def take(self, request: pb.WorkflowRequest, *, token: str) -> pb.WorkflowResponse:
        """Return what the body does next, given its history and what happened since."""
        going = self._advanced(request)
        response = pb.WorkflowResponse(
            instanceId=request.instanceId,
            actions=going.context.get_actions(),
            completionToken=token,
        )
        if going.context._version_name:
            response.version.name = going.context._version_name
        return response

    def _advanced(self, request: pb.WorkflowRequest) -> _Going:
        past = list(request.pastEvents)
        going = self._going.pop(request.instanceId, None)
        if going is None or past[: len(going.seen)] != going.seen:
            going = self._from_the_start(request.instanceId)
        goes_on = _advance(going, past[len(going.seen) :], request.newEvents)
        # Of this request alone: an event keeps the whole request alive that it came in.
        going.seen = [*past, *_as_kept(request.newEvents, going.context._version_name)]
        if goes_on:
            self._going[request.instanceId] = going
            while len(self._going) > REMEMBERED:
                self._going.popitem(last=False)
        return going

    def _from_the_start(self, instance_id: str) -> _Going:
        executor = _OrchestrationExecutor(self._registry, _sdk_log())
        return _Going(executor, _RuntimeOrchestrationContext(instance_id), [])


def _advance(going: _Going, past: Any, new: Any) -> bool:
    """Let a body see more events, as the SDK's executor does; tell whether it goes on."""
    context = going.context
    try:
        context._is_replaying = True
        for event in past:
            going.executor.process_event(context, event)
        context._is_replaying = False
        for event in new:
            going.executor.process_event(context, event)
    except VersionNotRegisteredException:
        context.set_version_not_registered()
        return False
    except Exception as error:  # noqa: BLE001 - a seam: the workflow fails with what its body raised
        context.set_failed(error)
    return not context._is_complete


def _as_kept(new: Any, version: str | None) -> list[pb.HistoryEvent]:
    """Return new events as the history will have them: a turn's start names the body's version."""
    for event in new:
        if version and event.HasField("workflowStarted"):
            event.workflowStarted.version.name = version
    return list(new)


def drive(ctx: Any, body: Body) -> Generator[Any, Any, Any]:
    """Run a body on a workflow context of the SDK."""
    result: Any = None
    while True:
        try:
            effect = body.send(result)
        except StopIteration as end:
            if isinstance(end.value, ContinueAsNew):
                ctx.continue_as_new(end.value.input)
                return None
            return end.value
        match effect:
            case Call():
                result = yield _called(ctx, effect)
            case CallAll(calls):
                result = yield when_all([_called(ctx, call) for call in calls])
            case Wait(seconds):
                result = yield ctx.create_timer(timedelta(seconds=seconds))
            case _ as unreachable:
                assert_never(unreachable)


def _called(ctx: Any, call: Call) -> Any:
    return ctx.call_activity(call.activity, input=dict(call.input))


def run(ctx: Any, data: Mapping[str, Any]) -> Generator[Any, Any, Any]:
    """Run a turn's body on a workflow context of the SDK."""
    return drive(ctx, turn(data))


def _sdk_log() -> logging.Logger:
    """Return the SDK's logger, without its line at each turn; a level that the program set stays."""
    log = logging.getLogger("durabletask-worker")
    if log.level == logging.NOTSET:
        log.setLevel(logging.ERROR)
    return log
