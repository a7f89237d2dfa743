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
BUSY_SECONDS: Final = 10.0
"""How long a message waits here for its conversation; Redis brings it again only after a minute."""
BUSY_PAUSE_SECONDS: Final = 0.5
JOIN_SECONDS: Final = 30.0
"""How long a message that came again waits for the first delivery, which acknowledges both."""

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
        busy_seconds: float = BUSY_SECONDS,
        join_seconds: float = JOIN_SECONDS,
    ) -> None:
        self._agent = agent
        self._publisher = publisher
        self._busy_seconds = busy_seconds
        self._join_seconds = join_seconds
        self._going: dict[str, asyncio.Task[Outcome]] = {}

    async def handle(self, event: Event) -> Outcome:
        """Run what a message asks for and publish the answer, before it is acknowledged."""
        run_id = run_id_of_event(event.id, source=event.source)
        first = self._going.get(run_id)
        if first is not None:
            done, _ = await asyncio.wait({first}, timeout=self._join_seconds)
            return first.result() if done else Outcome.RETRY
        task = asyncio.create_task(self._handle(event, run_id))
        self._going[run_id] = task
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
        except (Unavailable, ConversationBusy, RunTimeout) as error:
            log.info("message %s is to come again: %s", event.id, error)
            return Outcome.RETRY
        except (ValidationError, BadCaller, RetunableError) as error:
            answer["problem"] = problem_of(error).to_json()
            if isinstance(error, (ValidationError, BadCaller, RunIdConflict)):
                outcome = Outcome.DROP
        return outcome if await self._published(answer) else Outcome.RETRY

    async def _run(self, request: TopicRequest, event: Event, run_id: str) -> dict[str, Any]:
        caller = caller_in(event.metadata)
        until = time.monotonic() + self._busy_seconds
        while True:
            try:
                result = await self._agent.run(
                    request.message,
                    conversation_id=request.conversation_id,
                    user_id=caller.user_id,
                    attributes=caller.attributes,
                    run_id=run_id,
                )
            except ConversationBusy:
                if time.monotonic() >= until:
                    raise
                await asyncio.sleep(BUSY_PAUSE_SECONDS)
            else:
                return RunAnswer.model_validate(result).model_dump(mode="json")

    async def _published(self, answer: Mapping[str, Any]) -> bool:
        named = {"cloudevent.id": str(answer["run_id"]), "cloudevent.type": ANSWERED_TYPE}
        try:
            await self._publisher.publish(json.dumps(answer).encode(), metadata=named)
        except Unavailable as error:
            log.warning("the answer of run %s comes later: %s", answer["run_id"], error)
            return False
        return True


def _request(event: Event) -> TopicRequest:
    if event.content_type.partition(";")[0].strip().lower() == "text/plain":
        return TopicRequest(message=event.data.decode(errors="replace"))
    return TopicRequest.model_validate_json(event.data)
