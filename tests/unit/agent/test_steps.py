"""The two activities of an agent, with a provider of ours and no sidecar."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from retunable.agent.model import ModelReply, ModelRequest, ToolCall
from retunable.agent.offline_provider import OfflineProvider
from retunable.agent.pinning import Pin
from retunable.agent.provider_set import ProviderSet
from retunable.agent.records import TurnInput, run_result
from retunable.agent.steps import Steps
from retunable.agent.tools import tool
from retunable.agent.turn import Call, turn
from retunable.config.agent_config import AgentConfig
from retunable.config.build import build
from retunable.config.constraints import Constraints
from retunable.config.declaration import declare
from retunable.config.items import Item
from retunable.config.snapshot import Snapshot
from retunable.errors import ProviderFailed, ProviderRefused

CONSTRAINTS = Constraints(registered_tools=("double",), registered_providers=("mine",))
DECLARATION = declare(
    "helper", defaults=AgentConfig(role="R", model="m", provider="mine"), constraints=CONSTRAINTS
)


def snapshot_of(revision: int = 1, **items: str) -> Snapshot:
    stored = {key: Item(value) for key, value in items.items()}
    return replace(build(DECLARATION, stored).snapshot, revision=revision)


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


class Live:
    """A snapshot that a test replaces."""

    def __init__(self) -> None:
        self.now = snapshot_of()
        self.current = True

    async def snapshot(self) -> Snapshot:
        return self.now


class Scripted(OfflineProvider):
    """A provider that answers, or raises, what a test scripted."""

    def __init__(self, *script: ModelReply | Exception) -> None:
        self.script = list(script)
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        outcome = self.script.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Bench:
    """The steps of one agent, and a loop that plays the workflow."""

    def __init__(self, *script: ModelReply | Exception) -> None:
        self.live = Live()
        self.provider = Scripted(*script)
        self.refusals: list[str | None] = []
        self.providers = ProviderSet(
            {"mine": self.provider}, on_refusal=lambda: self.refusals.append(self.providers.refusal)
        )
        self.steps = Steps(
            self.live, constraints=CONSTRAINTS, providers=self.providers, tools={"double": double}
        )

    async def run(self, *, pin: Pin = "turn", between: Any = None) -> dict[str, Any]:
        given = TurnInput(agent="helper", environment="default", run_id="r", message="?", pin=pin)
        body = turn(given.to_json())
        effect = next(body)
        while True:
            if isinstance(effect, Call):
                result: Any = await self.steps.model_step(effect.input)
            else:
                tools = [self.steps.tool_call(call.input) for call in effect.calls]
                result = await asyncio.gather(*tools)
            if between is not None:
                between()
            try:
                effect = body.send(result)
            except StopIteration as end:
                outcome: dict[str, Any] = end.value
                return outcome


ASK = ModelReply(text="", calls=(ToolCall("c1", "double", '{"number": 21}'),), input_tokens=5)
ANSWER = ModelReply(text="done", input_tokens=7, output_tokens=2, model="m-1")


async def test_a_run_goes_from_the_model_to_the_tool_and_back() -> None:
    bench = Bench(ASK, ANSWER)
    result = run_result("r", await bench.run())
    assert (result.text, result.stop_reason, result.tokens) == ("done", "answer", 14)
    assert bench.provider.requests[1].messages[-1].text == "42"


async def test_each_step_names_the_configuration_that_it_ran_on() -> None:
    bench = Bench(ASK, ANSWER)

    def change() -> None:
        bench.live.now = snapshot_of(2, agent_role="S")

    result = run_result("r", await bench.run(pin="call", between=change))
    first, second = result.steps
    assert (first.revision, second.revision) == (1, 2)
    assert first.effective_checksum != second.effective_checksum == bench.live.now.checksum
    assert second.override_keys == ("role",)


async def test_a_run_pinned_to_its_turn_keeps_its_first_configuration() -> None:
    bench = Bench(ASK, ANSWER)

    def change() -> None:
        bench.live.now = snapshot_of(2, agent_role="S")

    await bench.run(pin="turn", between=change)
    assert {request.system_prompt for request in bench.provider.requests} == {"You are R."}


async def test_a_refusal_names_setting_source_and_mend() -> None:
    bench = Bench(ProviderRefused("does not know the model 'x' (404)", setting="model"))
    bench.live.now = snapshot_of(1, llm_model="x")
    outcome = await bench.run()
    assert outcome["reason"] == (
        "provider 'mine' does not know the model 'x' (404); llm_model is 'x' from the store's key "
        "llm_model: set llm_model to a model that it serves"
    )
    assert bench.providers.refusal == outcome["reason"]


async def test_a_refusal_is_over_when_a_call_works() -> None:
    bench = Bench(ProviderRefused("refused the key", setting="key"), ANSWER)
    await bench.run()
    await bench.run()
    assert bench.refusals[-1] is None
    assert len(bench.refusals) == 2


async def test_a_failed_call_fails_the_run_and_refuses_nothing() -> None:
    bench = Bench(ProviderFailed("503"))
    outcome = await bench.run()
    assert (outcome["outcome"], outcome["reason"]) == ("failed", "provider 'mine' failed: 503")
    assert bench.refusals == []


async def test_a_tool_that_left_the_program_is_answered_in_words() -> None:
    call = {"id": "c", "name": "gone", "arguments": "{}"}
    output = await Bench().steps.tool_call({"run_id": "r", "call": call})
    assert output == {"text": "The tool 'gone' is no longer here.", "ok": False}


@pytest.mark.parametrize(("limit", "calls"), [("1", 1), ("2", 2)])
async def test_the_limit_counts_model_calls(limit: str, calls: int) -> None:
    bench = Bench(ASK, ASK, ASK)
    bench.live.now = snapshot_of(1, max_iterations=limit)
    outcome = await bench.run()
    assert outcome["stop_reason"] == "max_iterations"
    assert len(outcome["steps"]) == len(bench.provider.requests) == calls
