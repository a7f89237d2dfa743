"""Runs that messages on a topic start, and what is answered: each message one run, however often it comes.

The broker delivers at least once, and an answer may come twice too: it carries its run's id.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from retunable.errors import (
    ConversationBusy,
    RetunableError,
    RunIdConflict,
    RunTimeout,
    Unavailable,
)
from retunable.serve.caller import BadCaller
from retunable.serve.invocations import Metadata, caller_in
from retunable.serve.problem import problem_of
from retunable.serve.run_ids import run_id_of_event
from retunable.serve.run_models import Identifier, RunAnswer
from retunable.serve.served import ServedAgent

ANSWERED_TYPE: Final = "retunable.run.answered"
HOLD_SECONDS: Final = 75.0
"""How long a message that cannot be answered now is held here before the broker has it back.

Seen on Dapr 1.18: pubsub.redis acknowledges what its app wants again, unless the app took longer
than its processingTimeout of 60 s. A retry policy for the component keeps such a message.
"""
FIRST_PAUSE_SECONDS: Final = 0.2
LAST_PAUSE_SECONDS: Final = 5.0

log = logging.getLogger("retunable")


class Outcome(Enum):
    """What the broker is told about a message."""

    SUCCESS = "success"
    RETRY = "retry"
    DROP = "drop"


class TopicRequest(BaseModel):
    """The data of a message; one that names another agent is not for this one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    message: Annotated[str, StringConstraints(min_length=1)]
    conversation_id: Identifier | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A CloudEvent as it was delivered, and the metadata that came with it."""

    id: str
    source: str
    data: bytes
    content_type: str
    metadata: Metadata


class Publisher(Protocol):
    """Puts an answer on its topic; raises Unavailable where that cannot be done now."""

    async def publish(self, data: bytes, *, metadata: Mapping[str, str]) -> None: ...


class TopicRequests:
    """Handles the messages of one agent, on its event loop."""

    def __init__(
        self,
        agent: ServedAgent,
        publisher: Publisher,
        *,
        hold_seconds: float = HOLD_SECONDS,
    ) -> None:
        self._agent = agent
        self._publisher = publisher
        self._hold_seconds = hold_seconds
        self._going: dict[str, asyncio.Task[Outcome]] = {}

    async def handle(self, event: Event) -> Outcome:
        """Run what a message asks for and publish the answer, before it is acknowledged.

        A message that comes again meanwhile joins the first delivery: acknowledged now, its
        answer would be lost with an agent that dies before it is published.
        """
        run_id = run_id_of_event(event.id, source=event.source)
        task = self._going.get(run_id)
        if task is None:
            task = self._going[run_id] = asyncio.create_task(self._handle(event, run_id))
            task.add_done_callback(lambda _: self._going.pop(run_id))
        # Whoever waits may be cut off; a run that was paid for is answered all the same.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Let go of what is handled now; it is delivered again."""
        tasks = list(self._going.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, event: Event, run_id: str) -> Outcome:
        until = time.monotonic() + self._hold_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._answered(event, run_id)
            except RunTimeout:
                return Outcome.RETRY  # the agent ends
            except (Unavailable, ConversationBusy) as error:
                if time.monotonic() + pause > until:
                    log.warning("message %s goes back to its topic: %s", event.id, error)
                    return Outcome.RETRY
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    async def _answered(self, event: Event, run_id: str) -> Outcome:
        """Run and publish; raises what may work a moment later."""
        answer: dict[str, Any] = {
            "agent": self._agent.declaration.agent,
            "run_id": run_id,
            "request": {"id": event.id, "source": event.source},
        }
        outcome = Outcome.SUCCESS
        try:
            request = _request(event)
            if request.agent not in (None, self._agent.declaration.agent):
                return outcome
            answer["conversation_id"] = request.conversation_id
            answer["answer"] = await self._run(request, event, run_id)
        except (Unavailable, ConversationBusy, RunTimeout):
            raise
        except (ValidationError, BadCaller, RetunableError) as error:
            answer["problem"] = problem_of(error).to_json()
            if isinstance(error, (ValidationError, BadCaller, RunIdConflict)):
                outcome = Outcome.DROP
        named = {"cloudevent.id": run_id, "cloudevent.type": ANSWERED_TYPE}
        await self._publisher.publish(json.dumps(answer).encode(), metadata=named)
        return outcome

    async def _run(self, request: TopicRequest, event: Event, run_id: str) -> dict[str, Any]:
        caller = caller_in(event.metadata)
        asked = caller.asks(conversation_id=request.conversation_id, run_id=run_id)
        result = await self._agent.run(request.message, **asked)
        return RunAnswer.model_validate(result).model_dump(mode="json")


def _request(event: Event) -> TopicRequest:
    if event.content_type.partition(";")[0].strip().lower() == "text/plain":
        return TopicRequest(message=event.data.decode(errors="replace"))
    return TopicRequest.model_validate_json(event.data)
