"""The methods that other apps of Dapr invoke: what each takes and gives, without a word of gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter

from retunable.agent.runs.views import RunStatus
from retunable.serve.caller import ATTRIBUTES_NAME, USER_NAME, BadCaller, Caller
from retunable.serve.models import ConfigReport, Readiness
from retunable.serve.run_ids import run_id_of_key
from retunable.serve.run_models import Identifier, RunAnswer, RunRequest
from retunable.serve.served import ServedAgent

KEY_NAME: Final = "Idempotency-Key"

Metadata = Mapping[str, Sequence[str]]
"""Names in lower case, and every value that came under each."""

_STATUS: Final = TypeAdapter(RunStatus)


class StatusRequest(BaseModel):
    """Which run is asked for; none asks for the agent itself."""

    model_config = ConfigDict(extra="forbid", strict=True)

    run_id: Identifier | None = None


class Invocations:
    """Answers JSON with JSON; raises what the agent raises, ``ValidationError`` and ``BadCaller``."""

    def __init__(self, agent: ServedAgent) -> None:
        self._agent = agent

    async def run(self, data: bytes, metadata: Metadata) -> str:
        """Run one message, and wait for its answer unless ``wait`` is false."""
        request = RunRequest.model_validate_json(data)
        caller = caller_in(metadata)
        key = _only(metadata, KEY_NAME)
        run_id = request.run_id
        if key is not None and run_id is None:
            run_id = run_id_of_key(key, user_id=caller.user_id)
        asked = caller.asks(conversation_id=request.conversation_id, run_id=run_id)
        if not request.wait:
            return _json(await self._agent.begin(request.message, **asked))
        deadline = request.deadline_seconds
        result = await self._agent.run(request.message, deadline=deadline, **asked)
        return RunAnswer.model_validate(result).model_dump_json()

    async def status(self, data: bytes, _metadata: Metadata) -> str:
        """Tell how a run is now, or whether the agent takes runs."""
        asked = StatusRequest.model_validate_json(data or b"{}")
        if asked.run_id is not None:
            return _json(await self._agent.run_state(asked.run_id))
        return Readiness.of(self._agent.status).model_dump_json()

    async def config(self, _data: bytes, _metadata: Metadata) -> str:
        """Tell what the agent runs on."""
        return ConfigReport.of(self._agent).model_dump_json()


def caller_in(metadata: Metadata) -> Caller:
    """Read on whose behalf a call is.

    Raises:
        BadCaller: it cannot be read, or was said twice: a gateway's word must stand alone.
    """
    return Caller.of(user=_only(metadata, USER_NAME), attributes=_only(metadata, ATTRIBUTES_NAME))


def _only(metadata: Metadata, name: str) -> str | None:
    values = metadata.get(name.lower(), ())
    if len(values) > 1:
        raise BadCaller(f"{name} came {len(values)} times; send it once")
    return values[0] if values else None


def _json(status: RunStatus) -> str:
    return _STATUS.dump_json(status).decode()
