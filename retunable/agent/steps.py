"""The two activities of one agent, on its own event loop: a model step and a tool call.

Here the live configuration meets a run: each step takes the snapshot once, and everything
that depends on it is decided here and returned.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from retunable.agent.decision import (
    Decision,
    Failed,
    decide,
    decision_to_json,
    offered_tools,
    stop_before_call,
    tool_choice_at,
)
from retunable.agent.model import Message, ModelReply, ModelRequest
from retunable.agent.persona import compose_system_prompt
from retunable.agent.pinning import Chosen, choose, effective_from_json, effective_to_json
from retunable.agent.provider_set import ProviderSet
from retunable.agent.records import StepRecord, TurnInput
from retunable.agent.refusal import explain_refusal
from retunable.agent.result_spacing import ResultSpacing
from retunable.agent.threads import ToolThreads
from retunable.agent.tools import Tool, call_tool
from retunable.config.constraints import Constraints
from retunable.config.resolve import Effective, resolve
from retunable.config.snapshot import Snapshot
from retunable.errors import ProviderFailed, ProviderRefused


class SnapshotSource(Protocol):
    """Where a step gets the configuration of now from."""

    async def snapshot(self) -> Snapshot:
        """Return the snapshot of now; wait where nothing was ever read."""

    @property
    def current(self) -> bool:
        """Whether this replica follows the store now, so that its snapshot may replace another."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One model step as the workflow asks for it."""

    turn: TurnInput
    step: int
    transcript: tuple[Message, ...]
    previous: Effective | str | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Asked:
        """Read the activity's input."""
        return cls(
            turn=TurnInput.from_json(data["turn"]),
            step=data["step"],
            transcript=tuple(Message.from_json(message) for message in data["transcript"]),
            previous=data["effective"] and effective_from_json(data["effective"]),
        )

    @property
    def last_text(self) -> str:
        """What the model last said in this run."""
        said = [message.text for message in self.transcript if message.role == "assistant"]
        return next((text for text in reversed(said) if text), "")


class Steps:
    """Runs the steps of one agent's runs."""

    def __init__(
        self,
        source: SnapshotSource,
        *,
        constraints: Constraints,
        providers: ProviderSet,
        tools: Mapping[str, Tool[..., Any]],
    ) -> None:
        self._source = source
        self._constraints = constraints
        self._providers = providers
        self._tools = tools
        self._threads = ToolThreads()
        self._spacing = ResultSpacing()

    async def model_step(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Resolve the configuration, check the limit, call the model, decide."""
        asked = Asked.from_json(data)
        snapshot = await self._source.snapshot()
        chosen = self._choose(asked, snapshot)
        stop = stop_before_call(
            asked.step,
            max_iterations=chosen.effective.config.max_iterations,
            last_text=asked.last_text,
        )
        if stop is not None:
            return _result(stop, chosen, None)
        decision, reply = await self._call_model(asked, chosen.effective, snapshot)
        return _result(decision, chosen, _record(asked.step, chosen, reply))

    async def tool_call(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Run one tool and return its result as text, whatever happens in it."""
        call = data["call"]
        tool = self._tools.get(call["name"])
        if tool is None:
            return {"text": f"The tool {call['name']!r} is no longer here.", "ok": False}
        output = await call_tool(tool, call["arguments"], threads=self._threads)
        await self._spacing.take_turn(data["run_id"], data["step"])
        return {"text": output.text, "ok": output.ok}

    def _choose(self, asked: Asked, snapshot: Snapshot) -> Chosen:
        turn = asked.turn
        fresh = resolve(
            snapshot,
            user_id=turn.user_id,
            conversation_id=turn.conversation_id,
            attributes=turn.attributes,
            now=time.time(),
        )
        return choose(
            turn.pin,
            previous=asked.previous,
            fresh=fresh,
            current=self._source.current,
            constraints=self._constraints,
            revoked=snapshot.revoked,
        )

    async def _call_model(
        self, asked: Asked, effective: Effective, snapshot: Snapshot
    ) -> tuple[Decision, ModelReply | None]:
        config = effective.config
        offered = offered_tools(config, self._tools)
        request = ModelRequest(
            model=config.model or "",
            system_prompt=compose_system_prompt(config),
            messages=asked.transcript,
            tools=tuple(self._tools[name].spec for name in offered),
            tool_choice=tool_choice_at(config, asked.step),
            temperature=config.temperature,
            max_tokens=config.max_tokens,
        )
        try:
            reply = await self._providers.complete(config.provider, request)
        except ProviderRefused as refused:
            text = explain_refusal(refused, effective, snapshot)
            self._providers.note_refusal(text)
            return Failed(text), None
        except ProviderFailed as failed:
            return Failed(f"provider {config.provider!r} failed: {failed}"), None
        self._providers.note_refusal(None)
        limit = config.max_iterations
        return decide(reply, step=asked.step, max_iterations=limit, offered=offered), reply


def _record(step: int, chosen: Chosen, reply: ModelReply | None) -> StepRecord:
    effective = chosen.effective
    return StepRecord(
        step=step,
        revision=effective.revision,
        effective_checksum=effective.checksum,
        version=effective.version,
        version_checksum=effective.version_checksum,
        generation=effective.generation,
        variant=effective.variant,
        override_keys=effective.override_keys,
        provider=effective.config.provider,
        model=reply.model if reply else None,
        input_tokens=reply.input_tokens if reply else 0,
        output_tokens=reply.output_tokens if reply else 0,
        unpinned=chosen.unpinned,
    )


def _result(decision: Decision, chosen: Chosen, record: StepRecord | None) -> dict[str, Any]:
    return {
        "v": 1,
        "decision": decision_to_json(decision),
        "effective": effective_to_json(chosen.effective),
        "record": record and record.to_json(),
    }
