"""The two activities of an agent, with a provider and a state store of ours and no sidecar."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from retunable.agent.conversations.conversations import Conversations
from retunable.agent.conversations.history import History
from retunable.agent.guardrails.check import CheckResult, Verdict
from retunable.agent.guardrails.guard import Guardrails
from retunable.agent.guardrails.proposal import Answer, Proposal
from retunable.agent.loop.effects import Call, ContinueAsNew
from retunable.agent.loop.pinning import Pin
from retunable.agent.loop.steps import Kept, Steps
from retunable.agent.loop.turn import first_input, turn
from retunable.agent.models.call import Guard, ModelCalls
from retunable.agent.models.model import ModelReply, ModelRequest, ToolCall
from retunable.agent.models.offline_provider import OfflineProvider
from retunable.agent.models.prices import Prices
from retunable.agent.models.provider_set import ProviderSet
from retunable.agent.retry import RetryPolicy
from retunable.agent.runs.book import RunBook
from retunable.agent.runs.documents import Ended, RunRequest, Step
from retunable.agent.runs.memory import RunMemory
from retunable.agent.runs.telling import NotTold, TellsRuns
from retunable.agent.runs.views import RunState
from retunable.agent.state.contents import Contents
from retunable.agent.state.keys import StateKeys
from retunable.agent.tools.threads import ToolThreads
from retunable.agent.tools.tool import tool
from retunable.agent.users import Users
from retunable.config.agent_config import AgentConfig
from retunable.config.build import build
from retunable.config.checksum import checksum
from retunable.config.constraints import Constraints
from retunable.config.declaration import declare
from retunable.config.envelope import Variant
from retunable.config.items import Item
from retunable.config.snapshot import Snapshot
from retunable.errors import ProviderFailed, ProviderRefused
from retunable.testing.fake_state import FakeState

CONSTRAINTS = Constraints(registered_tools=("double",), registered_providers=("mine",))
KEYS = StateKeys("helper", "default")
BEGUN_AT = "2026-11-21T12:00:00.000+00:00"
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


class Replica:
    """The steps of one agent in one process, and a loop that plays the workflow."""

    def __init__(
        self,
        *script: ModelReply | Exception,
        state: FakeState | None = None,
        guard: Guard | None = None,
        telling: TellsRuns | None = None,
        users: Users | None = None,
        prices: Prices | None = None,
    ) -> None:
        self.live = Live()
        self.state = state or FakeState()
        self.provider = Scripted(*script)
        self.refusals: list[str | None] = []
        self.met: list[str] = []
        self.providers = ProviderSet(
            {"mine": self.provider},
            on_refusal=lambda: self.refusals.append(self.providers.refusal),
            retries=RetryPolicy(max_tries=1),
        )
        telling = telling or NotTold()
        self.book = RunBook(self.state, KEYS, over=telling.ended)
        self.holders: set[str] = set()
        self.conversations = Conversations(self.state, KEYS, goes_on=self._goes_on)
        tools = {"double": double}
        self.steps = Steps(
            self.live,
            constraints=CONSTRAINTS,
            calls=ModelCalls(self.providers, tools, guard or Guardrails({}, threads=ToolThreads())),
            tools=tools,
            kept=Kept(
                met=self.met.append,
                book=self.book,
                contents=Contents(self.state, KEYS),
                conversations=self.conversations,
                history=History(self.book, tokens=1000),
                telling=telling,
            ),
            replica="here:1",
            users=users,
            prices=prices,
        )

    async def _goes_on(self, run_id: str) -> bool:
        return run_id in self.holders

    async def run(
        self,
        run_id: str = "r",
        *,
        pin: Pin = "turn",
        between: Any = None,
        conversation_id: str | None = None,
        user_id: str | None = None,
    ) -> Run:
        request = RunRequest(
            agent="helper",
            environment="default",
            run_id=run_id,
            message="?",
            pin=pin,
            conversation_id=conversation_id,
            user_id=user_id,
        )
        await self.book.begin(request, begun_at=BEGUN_AT, replica="here:1")
        data: Mapping[str, Any] = first_input(agent="helper", environment="default", run_id=run_id)
        while isinstance(end := await self._history(data, between), ContinueAsNew):
            data = end.input
        memory = await RunBook(self.state, KEYS).load(run_id)
        assert memory is not None
        assert memory.ended is not None
        return Run(memory, memory.ended)

    async def _history(self, data: Mapping[str, Any], between: Any) -> Any:
        body = turn(data)
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
                return end.value


@dataclass(frozen=True)
class Run:
    """A run that is over, as it stands in the state store."""

    memory: RunMemory
    ended: Ended

    @property
    def steps(self) -> list[Step]:
        return [self.memory.steps[number] for number in sorted(self.memory.steps)]


ASK = ModelReply(text="", calls=(ToolCall("c1", "double", '{"number": 21}'),), input_tokens=5)
ANSWER = ModelReply(text="done", input_tokens=7, output_tokens=2, model="m-1")


async def test_a_run_goes_from_the_model_to_the_tool_and_back() -> None:
    replica = Replica(ASK, ANSWER)
    run = await replica.run()
    assert (run.ended.text, run.ended.stop_reason, run.ended.tokens) == ("done", "answer", 14)
    assert replica.provider.requests[1].messages[-1].text == "42"


async def test_the_workflow_carries_nothing_that_was_said() -> None:
    replica = Replica(ModelReply(text="SECRET", calls=ASK.calls))
    await replica.book.begin(
        RunRequest(agent="helper", environment="default", run_id="r", message="SECRET"),
        begun_at="now",
        replica="here:1",
    )
    data = first_input(agent="helper", environment="default", run_id="r")
    result = await replica.steps.model_step(data)
    assert (result["next"], result["calls"]) == ("tools", [0])
    assert not {"SECRET", "21"} & set(repr(result).replace("'", " ").split())


async def test_a_turn_of_this_process_without_tools_reads_its_own_step_and_nothing_else() -> None:
    replica = Replica(ANSWER)
    data = await _begun_here(replica)
    assert (await replica.steps.model_step(data))["next"] == "end"
    assert replica.state.calls == {"insert": 3, "get_many": 1, "put": 1}


async def test_a_first_step_that_another_replica_recorded_is_not_paid_where_the_run_began() -> None:
    """Fails where a process believes that nobody has had the first step of a run that it began."""
    here = Replica(ModelReply(text="mine"))
    data = await _begun_here(here)
    there = Replica(ModelReply(text="theirs"), state=here.state)
    await there.steps.model_step(data)
    await here.steps.model_step(data)
    assert here.provider.requests == []


async def _begun_here(replica: Replica) -> dict[str, Any]:
    """Begin a run under an id that was made up here; return its first activity's input."""
    request = RunRequest(
        agent="helper", environment="default", run_id="r", message="?", own_id=True
    )
    await replica.book.begin(request, begun_at="now", replica="here:1")
    return first_input(agent="helper", environment="default", run_id="r")


async def test_each_step_names_the_configuration_that_it_ran_on() -> None:
    replica = Replica(ASK, ANSWER)

    def change() -> None:
        replica.live.now = snapshot_of(2, agent_role="S")

    run = await replica.run(pin="call", between=change)
    first, second = (step.record for step in run.steps)
    assert (first.revision, second.revision) == (1, 2)
    assert first.effective_checksum != second.effective_checksum == replica.live.now.checksum
    assert second.override_keys == ("role",)


@pytest.mark.parametrize("pin", ["turn", "conversation"])
async def test_a_pinned_run_keeps_its_first_configuration(pin: Pin) -> None:
    replica = Replica(ASK, ANSWER)

    def change() -> None:
        replica.live.now = snapshot_of(2, agent_role="S")

    await replica.run(pin=pin, between=change, conversation_id="c")
    assert {request.system_prompt for request in replica.provider.requests} == {"You are R."}


async def test_a_replica_that_never_saw_the_pinned_config_goes_on_with_it() -> None:
    replica = Replica(ASK)
    data = await _first_step(replica)
    other = Replica(ANSWER, state=replica.state)
    other.live.now = snapshot_of(1, agent_role="S")
    await other.steps.tool_call(_call(0))
    await other.steps.model_step(data)
    assert other.provider.requests[0].system_prompt == "You are R."
    assert [m.text for m in other.provider.requests[0].messages] == ["?", "", "42"]


async def test_a_replica_that_goes_on_with_a_run_says_that_it_met_it() -> None:
    replica = Replica(ASK)
    data = await _first_step(replica)
    other = Replica(ANSWER, state=replica.state)
    await other.steps.tool_call(_call(0))
    await other.steps.model_step(data)
    assert other.met == ["r"]


async def test_a_recorded_step_is_never_asked_for_again() -> None:
    replica = Replica(ASK)
    first = await _first_step(replica)
    other = Replica(state=replica.state)
    again = await other.steps.model_step(first | {"step": 1})
    assert again["calls"] == [0]
    assert other.provider.requests == []


async def test_a_recorded_tool_call_is_never_made_again() -> None:
    replica = Replica(ASK)
    await _first_step(replica)
    await replica.steps.tool_call(_call(0))
    writes = dict(replica.state.writes)
    await Replica(state=replica.state).steps.tool_call(_call(0))
    assert replica.state.writes == writes


async def test_what_another_replica_recorded_first_wins() -> None:
    one = Replica(ModelReply(text="mine"))
    other = Replica(ModelReply(text="theirs"), state=one.state)
    await one.book.begin(_request(), begun_at="now", replica="here:1")
    data = first_input(agent="helper", environment="default", run_id="r")
    await asyncio.gather(one.steps.model_step(data), other.steps.model_step(data))
    run = await RunBook(one.state, KEYS).load("r")
    assert run is not None
    assert run.ended is not None
    texts = {replica.book.remembered("r").ended.text for replica in (one, other)}  # type: ignore[union-attr]
    assert texts == {run.ended.text}


async def test_a_lost_reply_of_the_state_store_costs_no_second_call() -> None:
    replica = Replica(ANSWER)
    replica.state.lose_replies = 0
    await replica.book.begin(_request(), begun_at="now", replica="here:1")
    data = first_input(agent="helper", environment="default", run_id="r")
    replica.state.lose_replies = 2
    assert (await replica.steps.model_step(data))["next"] == "end"
    assert len(replica.provider.requests) == 1


async def test_a_step_waits_for_a_state_store_that_is_away() -> None:
    replica = Replica(ANSWER)
    await replica.book.begin(_request(), begun_at="now", replica="here:1")
    data = first_input(agent="helper", environment="default", run_id="r")
    replica.state.away = True
    step = asyncio.create_task(replica.steps.model_step(data))
    await asyncio.sleep(0.15)
    assert not step.done()
    replica.state.away = False
    assert (await step)["next"] == "end"


async def test_a_refusal_names_setting_source_and_mend() -> None:
    replica = Replica(ProviderRefused("does not know the model 'x' (404)", setting="model"))
    replica.live.now = snapshot_of(1, llm_model="x")
    run = await replica.run()
    assert run.ended.reason == (
        "provider 'mine' does not know the model 'x' (404); llm_model is 'x' from the store's key "
        "llm_model: set llm_model to a model that it serves"
    )
    assert replica.providers.refusal == run.ended.reason


async def test_a_refusal_is_over_when_a_call_works() -> None:
    replica = Replica(ProviderRefused("refused the key", setting="key"), ANSWER)
    await replica.run("one")
    await replica.run("two")
    assert replica.refusals[-1] is None
    assert len(replica.refusals) == 2


async def test_a_failed_call_fails_the_run_and_refuses_nothing() -> None:
    replica = Replica(ProviderFailed("503"))
    run = await replica.run()
    assert (run.ended.state, run.ended.reason) == (
        RunState.FAILED,
        "provider 'mine' failed: 503",
    )
    assert replica.refusals == []


@pytest.mark.parametrize(("limit", "calls"), [("1", 1), ("2", 2)])
async def test_the_limit_counts_model_calls(limit: str, calls: int) -> None:
    replica = Replica(ASK, ASK, ASK)
    replica.live.now = snapshot_of(1, max_iterations=limit)
    run = await replica.run()
    assert run.ended.stop_reason == "max_iterations"
    assert len(run.steps) == len(replica.provider.requests) == calls


async def test_a_limit_lowered_in_flight_ends_the_run_before_the_next_call() -> None:
    replica = Replica(ASK, ASK, ASK)

    def change() -> None:
        replica.live.now = snapshot_of(2, max_iterations="1")

    run = await replica.run(pin="call", between=change)
    assert (run.ended.stop_reason, len(replica.provider.requests)) == ("max_iterations", 1)


class NoDoubts:
    """A guard that lets nothing that says 'maybe' through, and no call with 13."""

    async def judge(self, config: AgentConfig, proposal: Proposal) -> Verdict:
        del config
        text = proposal.text if isinstance(proposal, Answer) else proposal.arguments
        score = 0.0 if "maybe" in text or "13" in text else 1.0
        reason = "be sure" if score == 0 else ""
        return Verdict((CheckResult(name="doubt", score=score, threshold=0.5, reason=reason),))


async def test_an_answer_that_a_guardrail_rejects_goes_back_to_the_model() -> None:
    replica = Replica(ModelReply(text="maybe"), ANSWER, guard=NoDoubts())
    run = await replica.run()
    assert run.ended.text == "done"
    told = [message.text for message in replica.provider.requests[1].messages]
    assert told[:2] == ["?", "maybe"]
    assert "doubt: be sure" in told[2]
    verdicts = [one.verdict.passed for step in run.steps for one in step.judged]
    assert verdicts == [False, True]


async def test_a_rejected_answer_is_not_given_at_the_limit() -> None:
    replica = Replica(ModelReply(text="maybe"), guard=NoDoubts())
    replica.live.now = snapshot_of(1, max_iterations="1")
    run = await replica.run()
    assert run.ended.stop_reason == "max_iterations"
    assert "maybe" not in (run.ended.text or "")
    assert [one.verdict.reasons for one in run.steps[0].judged] == ["doubt: be sure"]


ASK_WITH_A_DOUBT = ModelReply(text="maybe", calls=ASK.calls)
ASK_WITHOUT_A_DOUBT = ModelReply(text="certainly", calls=ASK.calls)


@pytest.mark.parametrize(
    ("script", "given"),
    [
        ((ModelReply(text="maybe"),), "I stopped after the limit"),
        ((ASK_WITH_A_DOUBT,), "I stopped after the limit"),
        ((ASK_WITHOUT_A_DOUBT,), "certainly"),
        ((ASK_WITHOUT_A_DOUBT, ModelReply(text="maybe")), "certainly"),
    ],
    ids=["a rejected answer", "an unjudged text", "a text that passes", "the one before"],
)
async def test_a_limit_lowered_in_flight_gives_nothing_that_did_not_pass(
    script: tuple[ModelReply, ...], given: str
) -> None:
    replica = Replica(*script, guard=NoDoubts())

    def lower() -> None:
        if not replica.provider.script:
            replica.live.now = snapshot_of(2, max_iterations="1")

    run = await replica.run(pin="call", between=lower)
    assert run.ended.stop_reason == "max_iterations"
    assert (run.ended.text or "").startswith(given)


async def test_a_rejected_call_is_answered_instead_of_made() -> None:
    bad = ModelReply(text="", calls=(ToolCall("c1", "double", '{"number": 13}'),))
    replica = Replica(bad, ANSWER, guard=NoDoubts())
    await replica.run()
    assert "doubt: be sure" in replica.provider.requests[1].messages[-1].text


async def test_a_busy_conversation_ends_the_run_without_a_call() -> None:
    replica = Replica(ANSWER)
    await replica.run("one", conversation_id="c")
    replica.holders.add("one")
    run = await replica.run("two", conversation_id="c")
    assert (run.ended.state, run.ended.busy_with) == (RunState.FAILED, "one")
    assert len(replica.provider.requests) == 1


async def test_a_reply_that_is_too_large_to_keep_fails_the_run() -> None:
    replica = Replica(ModelReply(text="x" * 5000), state=FakeState(max_bytes=4000))
    run = await replica.run()
    assert "larger than the state store takes" in (run.ended.reason or "")


async def test_what_is_recorded_after_a_run_was_forgotten_is_not_kept() -> None:
    replica = Replica(ASK)
    data = await _first_step(replica)
    other = Replica(ModelReply(text="SECRET"), state=replica.state)
    late = await other.book.load("r")
    assert late is not None
    await replica.book.erase("r", ended_at="now")
    late.ended = None  # it has not heard yet
    await other.steps.tool_call(_call(0))
    assert (await other.steps.model_step(data))["next"] == "end"
    assert "SECRET" not in replica.state.text()
    assert '"42"' not in replica.state.text()


def _request() -> RunRequest:
    return RunRequest(agent="helper", environment="default", run_id="r", message="?")


async def _first_step(replica: Replica) -> dict[str, Any]:
    """Run the first step; return the input of the second."""
    await replica.book.begin(_request(), begun_at="now", replica="here:1")
    data = first_input(agent="helper", environment="default", run_id="r")
    await replica.steps.model_step(data)
    return data | {"step": 2}


def _call(index: int) -> dict[str, Any]:
    owner = {"v": 2, "agent": "helper", "environment": "default", "run_id": "r", "step": 1}
    return {**owner, "call": index, "siblings": 0}


def later(step: int) -> dict[str, Any]:
    """Return a config as it is changed to before step ``step``."""
    return {"agent_role": f"R{step}", "max_iterations": str(20 + step)}


@pytest.mark.parametrize("pin", ["call", "turn", "conversation"])
@pytest.mark.parametrize("boundary", range(1, 12))
async def test_a_change_at_any_boundary_reaches_what_its_pin_says(pin: Pin, boundary: int) -> None:
    replica = Replica(*[ASK] * 11, ANSWER)
    replica.live.now = before = snapshot_of(1, **later(0))
    after = snapshot_of(2, **later(boundary))
    taken = 0

    def change() -> None:
        nonlocal taken
        taken += 1
        if taken == 2 * boundary:
            replica.live.now = after

    run = await replica.run(pin=pin, between=change, conversation_id="c")
    assert run.ended.text == "done"
    changed = after if pin == "call" else before
    ran_on = [step.record.effective_checksum for step in run.steps]
    assert ran_on == [before.checksum] * boundary + [changed.checksum] * (12 - boundary)


async def test_a_revoked_version_is_left_at_the_next_model_call() -> None:
    replica = Replica(ASK, ASK, ANSWER)
    revoked = "1:sha256:" + "0" * 64
    stable = Variant(3, revoked, AgentConfig(role="V3", model="m", provider="mine"))
    replica.live.now = replace(snapshot_of(), stable=stable)

    def revoke() -> None:
        replica.live.now = replace(snapshot_of(2, agent_role="S"), revoked=(revoked,))

    run = await replica.run(pin="conversation", between=revoke, conversation_id="c")
    assert [step.record.unpinned for step in run.steps] == [None, "version 3 was revoked", None]
    assert run.steps[2].record.override_keys == ("role",)
    standing = await replica.conversations.read("c")
    assert standing.pinned is not None
    assert standing.pinned["checksum"] == run.steps[1].record.effective_checksum


def released(generation: int, **parts: Any) -> Snapshot:
    """A release whose canary is for everybody, with a flag that is on."""

    def variant(number: int, role: str) -> dict[str, Any]:
        values = {"role": role, "model": "m", "provider": "mine", "tools": ("double",)}
        config = AgentConfig().with_values(values).to_json()
        return {"version": number, "checksum": checksum(config), "config": config}

    rollout = {"id": "r", "salt": "s", "stages": [100], "stage": 0, "control_percent": None}
    envelope = {
        "retunable": 1,
        "agent": "helper",
        "environment": "default",
        "generation": generation,
        "stable": variant(1, "Stable"),
        "canary": variant(2, "Canary"),
        "rollout": rollout,
        "flags": [{"name": "warm", "percent": 100, "set": {"temperature": 1}}],
    }
    return snapshot_of(generation, helper=json.dumps(envelope | parts))


async def test_a_run_on_the_canary_records_variant_version_and_flags() -> None:
    replica = Replica(ANSWER)
    replica.live.now = released(1)
    record = (await replica.run(conversation_id="c")).steps[0].record

    assert (record.variant, record.version, record.flags) == ("canary", 2, ("warm",))
    assert replica.provider.requests[0].temperature == 1


async def test_a_conversation_pinned_to_a_canary_goes_on_with_stable_once_that_is_revoked() -> None:
    replica = Replica(ASK, ASK, ANSWER)
    canary = released(1).canary
    assert canary is not None
    replica.live.now = released(1)

    def revoke() -> None:
        replica.live.now = released(2, canary=None, rollout=None, revoked=[canary.checksum])

    run = await replica.run(pin="conversation", between=revoke, conversation_id="c")
    assert [step.record.variant for step in run.steps] == ["canary", "stable", "stable"]
    assert run.steps[1].record.unpinned == "version 2 was revoked"


async def test_a_refusal_on_a_canary_names_its_version_and_flags() -> None:
    replica = Replica(ProviderRefused("does not know the model 'm' (404)", setting="model"))
    replica.live.now = released(1)
    run = await replica.run(conversation_id="c")

    assert "llm_model is 'm' from the canary version 2 and flags warm" in (run.ended.reason or "")
