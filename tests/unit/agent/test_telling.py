"""What is told of runs: with which fields, how often, and of whom."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from retunable.agent.guardrails.check import CheckResult, Verdict
from retunable.agent.guardrails.proposal import Proposal
from retunable.agent.loop.turn import first_input
from retunable.agent.models.call import Guard
from retunable.agent.models.model import ModelReply, ModelRequest
from retunable.agent.models.prices import Prices, TokenPrice
from retunable.agent.runs.documents import Ended, RunRequest
from retunable.agent.runs.telling import Teller, Telling
from retunable.agent.runs.views import RunState
from retunable.agent.users import Users
from retunable.config.agent_config import AgentConfig
from retunable.config.split import bucket_of
from retunable.errors import ProviderFailed, ProviderRefused
from retunable.events.encoding import from_json, to_json
from retunable.events.event import Event, Exposure, Outcome
from retunable.events.pseudonym import pseudonym
from retunable.testing.fake_state import FakeState
from tests.unit.agent.test_steps import ANSWER, ASK, BEGUN_AT, Replica, released

SECRET = b"of the test"
STAGED = {"id": "r-1", "salt": "s", "stages": [1, 50], "stage": 1, "control_percent": None}


class Told(Replica):
    """A replica whose events a test reads; ``name`` is its process."""

    def __init__(
        self,
        *script: ModelReply | Exception,
        state: FakeState | None = None,
        secret: bytes | None = SECRET,
        guard: Guard | None = None,
        name: str = "here:1",
        prices: Prices | None = None,
    ) -> None:
        self.events: list[Event] = []
        users = Users()
        if secret is not None:
            users.take(secret)
        teller = Teller(agent="helper", environment="default", replica=name)
        telling = Telling(teller, users=users, put=self.events.append, now_ms=lambda: 7)
        super().__init__(
            *script, state=state, guard=guard, telling=telling, users=users, prices=prices
        )
        self.telling = telling
        self.live.now = released(4, rollout=STAGED)

    @property
    def exposure(self) -> Exposure:
        (found,) = [event for event in self.events if isinstance(event, Exposure)]
        return found

    @property
    def outcome(self) -> Outcome:
        (found,) = [event for event in self.events if isinstance(event, Outcome)]
        return found


def user_in(low: int, high: int) -> str:
    users = (f"user-{number}" for number in range(100_000))
    return next(user for user in users if low <= bucket_of("s", user) < high)


CANARY_USER = user_in(100, 5000)
STABLE_USER = user_in(5000, 9900)


async def test_a_run_is_told_where_the_split_puts_its_user() -> None:
    replica = Told(ANSWER)
    run = await replica.run(user_id=CANARY_USER)
    told, record = replica.exposure, run.steps[0].record

    assert (told.rollout_id, told.arm, told.cohort) == ("r-1", "canary", 1)
    assert told.bucket == bucket_of("s", CANARY_USER)
    assert (told.version, told.variant, told.flags) == (2, "canary", ("warm",))
    assert told.version_checksum == record.version_checksum
    assert told.effective_checksum == record.effective_checksum
    assert (told.anonymous, told.pinned) == (False, False)
    assert told.user_hmac == pseudonym(SECRET, "rollout r-1", CANARY_USER)


PRICE = TokenPrice(input_per_million=1000, output_per_million=3000)


@pytest.mark.parametrize(
    ("prices", "told"),
    [
        (Prices(currency="EUR", models={"m": PRICE}), (0.05, "EUR")),
        (Prices(currency="EUR", models={"another": PRICE}), (None, None)),
        (None, (None, None)),
    ],
)
async def test_an_outcome_tells_what_the_model_calls_cost(
    prices: Prices | None, told: tuple[float | None, str | None]
) -> None:
    replies = [replace(reply, input_tokens=10, output_tokens=5) for reply in (ASK, ANSWER)]
    replica = Told(*replies, prices=prices)
    run = await replica.run()

    assert (replica.outcome.cost, replica.outcome.currency) == told
    assert [step.record.cost for step in run.steps] == [told[0] and told[0] / 2] * 2


async def test_the_record_of_a_step_names_its_rollout() -> None:
    record = (await Told(ANSWER).run(user_id=STABLE_USER)).steps[0].record
    assert (record.variant, record.rollout, record.rollout_stage) == ("stable", "r-1", 1)


async def test_the_exposure_is_told_before_the_model_is_called() -> None:
    replica = Told(ANSWER)
    seen: list[int] = []
    complete = replica.provider.complete

    async def counting(request: ModelRequest) -> ModelReply:
        seen.append(len(replica.events))
        return await complete(request)

    replica.provider.complete = counting  # type: ignore[method-assign]
    await replica.run(user_id=CANARY_USER)
    assert seen == [1]


async def test_an_outcome_repeats_its_exposure_and_says_how_the_run_went() -> None:
    replica = Told(ASK, ANSWER)
    await replica.run(user_id=CANARY_USER)
    shared = set(to_json(replica.exposure)) - {"event_id", "kind"}
    told = to_json(replica.outcome)

    assert {name: told[name] for name in shared} == {
        name: to_json(replica.exposure)[name] for name in shared
    }
    assert (replica.outcome.state, replica.outcome.error_kind) == ("finished", None)
    assert (replica.outcome.input_tokens, replica.outcome.output_tokens) == (12, 2)
    assert (replica.outcome.steps, replica.outcome.limit_hit) == (2, False)
    assert replica.outcome.latency_ms > 0


async def test_what_is_told_can_be_sent_and_read() -> None:
    replica = Told(ASK, ANSWER)
    await replica.run(user_id=CANARY_USER)
    assert [from_json(to_json(event)) for event in replica.events] == replica.events


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (ProviderRefused("no such model", setting="model"), "provider_refused"),
        (ProviderFailed("overloaded"), "provider_failed"),
    ],
)
async def test_a_failed_run_is_told_with_the_kind_of_its_failure(
    failure: Exception, kind: str
) -> None:
    replica = Told(failure)
    await replica.run(user_id=CANARY_USER)
    assert (replica.outcome.state, replica.outcome.error_kind) == ("failed", kind)


async def test_a_run_that_meets_its_limit_says_so() -> None:
    replica = Told(ASK)
    replica.live.now = released(4, flags=[{"name": "one", "percent": 100, "set": LIMIT}])
    await replica.run(user_id=CANARY_USER)
    assert replica.outcome.limit_hit


LIMIT = {"max_iterations": 1}


class NoCalls:
    """Passes no proposal."""

    async def judge(self, config: AgentConfig, proposal: Proposal) -> Verdict:
        del config, proposal
        return Verdict((CheckResult(name="no", score=0, threshold=1),))


async def test_every_proposal_that_did_not_pass_is_counted() -> None:
    replica = Told(ASK, ANSWER, guard=NoCalls())
    replica.live.now = released(4, flags=[{"name": "two", "percent": 100, "set": TWO}])
    await replica.run(user_id=CANARY_USER)
    assert replica.outcome.guardrail_failures == 2


TWO = {"max_iterations": 2}


async def test_without_a_secret_no_user_is_told_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    replica = Told(ANSWER, ANSWER, secret=None)
    await replica.run("r-1", user_id=CANARY_USER)
    await replica.run("r-2", user_id=CANARY_USER)
    told = replica.events[0]

    assert isinstance(told, Exposure)
    assert (told.user_hmac, told.anonymous, told.arm) == (None, True, "canary")
    assert caplog.text.count("count as anonymous in rollouts") == 1


async def test_a_caller_without_a_user_is_anonymous() -> None:
    replica = Told(ANSWER)
    await replica.run(conversation_id="c")
    told = replica.exposure
    assert (told.anonymous, told.user_hmac, told.cohort) == (True, None, None)
    assert told.bucket == bucket_of("s", "c")


async def test_a_redelivered_first_step_is_told_under_the_same_id() -> None:
    first, second = Told(ANSWER), Told(ANSWER, name="there:2")
    await first.run(user_id=CANARY_USER)
    await second.run(user_id=CANARY_USER)
    assert first.exposure.event_id == second.exposure.event_id
    assert first.outcome.event_id == second.outcome.event_id != first.exposure.event_id


async def test_runs_of_other_agents_and_environments_have_other_ids() -> None:
    ids = set()
    for agent, environment in (("a", "b"), ("b", "a"), ("a", "c")):
        events: list[Event] = []
        teller = Teller(agent=agent, environment=environment, replica="here:1")
        telling = Telling(teller, users=Users(), put=events.append)
        telling.rated("r", "up", number=1)
        ids.add(events[0].event_id)
    assert len(ids) == 3


async def _first_step_of(replica: Told) -> dict[str, Any]:
    request = RunRequest(
        agent="helper", environment="default", run_id="r", message="?", user_id=CANARY_USER
    )
    await replica.book.begin(request, begun_at=BEGUN_AT, replica="here:1")
    data = first_input(agent="helper", environment="default", run_id="r")
    await replica.steps.model_step(data)
    return data


async def test_a_replica_that_goes_on_with_a_run_tells_the_same_of_it() -> None:
    first = Told(ASK)
    data = await _first_step_of(first)
    other = Told(ANSWER, state=first.state, name="there:2")
    other.live.now = released(9)  # stage, salt and flags are others by now, and so is its code
    other.steps._choices._tool_code = lambda: "changed"
    await other.steps.tool_call({**data, "call": 0, "siblings": 0})
    await other.steps.model_step({**data, "step": 2})

    assert [event for event in other.events if isinstance(event, Exposure)] == []
    assert first.exposure.tool_code is not None
    same = ("bucket", "arm", "cohort", "rollout_id", "user_hmac", "version", "flags", "tool_code")
    for name in same:
        assert getattr(other.outcome, name) == getattr(first.exposure, name)


async def test_an_end_whose_teller_died_is_told_when_its_step_comes_again() -> None:
    first = Told(ANSWER)
    data = await _first_step_of(first)
    other = Told(state=first.state, name="there:2")
    await other.steps.model_step(data)
    assert other.outcome.event_id == first.outcome.event_id
    assert other.outcome.steps == 1


async def test_a_run_that_is_stopped_during_its_first_call_is_told_as_stopped() -> None:
    replica = Told()
    called = asyncio.Event()

    async def hang(request: ModelRequest) -> ModelReply:
        called.set()
        await asyncio.Event().wait()
        raise AssertionError

    replica.provider.complete = hang  # type: ignore[method-assign]
    step = asyncio.create_task(_first_step_of(replica))
    await asyncio.wait_for(called.wait(), 20)
    memory = replica.book.remembered("r")
    assert memory is not None
    await replica.book.end(
        memory, Ended(state=RunState.STOPPED, ended_at=BEGUN_AT, steps=0, tokens=0)
    )
    await replica.steps.end("r")
    await step
    assert replica.outcome.state == "stopped"
    assert replica.outcome.bucket == replica.exposure.bucket


async def test_a_run_that_never_began_for_its_conversation_was_busy_is_not_told() -> None:
    replica = Told(ANSWER, ANSWER)
    await replica.run("r-1", conversation_id="c")
    replica.events.clear()
    replica.holders.add("r-1")
    await replica.run("r-2", conversation_id="c")
    assert replica.events == []


async def test_a_conversation_pinned_before_the_rollout_says_nothing_about_it() -> None:
    replica = Told(ANSWER, ANSWER)
    replica.live.now = released(3, canary=None, rollout=None)
    await replica.run("r-1", pin="conversation", conversation_id="c", user_id=CANARY_USER)
    replica.events.clear()
    replica.live.now = released(4, rollout=STAGED)
    await replica.run("r-2", pin="conversation", conversation_id="c", user_id=CANARY_USER)

    told = replica.exposure
    assert (told.arm, told.variant, told.pinned) == ("canary", "stable", True)


async def test_a_config_that_was_pinned_before_the_rollout_is_not_said_to_be_of_it() -> None:
    replica = Told(ANSWER, ANSWER)
    replica.live.now = released(3, canary=None, rollout=None)
    await replica.run("r-1", pin="conversation", conversation_id="c", user_id=STABLE_USER)
    replica.live.now = released(4, rollout=STAGED)
    run = await replica.run("r-2", pin="conversation", conversation_id="c", user_id=STABLE_USER)
    assert (run.steps[0].record.variant, run.steps[0].record.rollout) == ("stable", None)


async def test_a_conversation_pinned_within_the_rollout_counts() -> None:
    replica = Told(ANSWER, ANSWER)
    await replica.run("r-1", pin="conversation", conversation_id="c", user_id=CANARY_USER)
    replica.events.clear()
    await replica.run("r-2", pin="conversation", conversation_id="c", user_id=CANARY_USER)
    assert (replica.exposure.variant, replica.exposure.pinned) == ("canary", False)


async def test_a_listed_user_has_its_flag_in_a_real_run() -> None:
    replica = Told(ANSWER)
    key = replica.steps._choices._users.list_key
    assert key is not None
    listed = {"key_id": key.id, "hashes": [key.listed_as("beta", "zoe")]}
    replica.live.now = released(4, flags=[{"name": "beta", "users": listed}])
    await replica.run(user_id="zoe")
    assert replica.exposure.flags == ("beta",)
