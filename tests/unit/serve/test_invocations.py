"""What other apps may invoke, without Dapr in between."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from retunable.errors import RunUnknown
from retunable.serve.caller import BadCaller
from retunable.serve.invocations import Invocations
from tests.unit.serve.standin import StandInAgent, a_run

WHO = {"retunable-user": ["zoe"], "retunable-attributes": ['{"plan": "pro"}']}


async def run(agent: StandInAgent, body: Any, **metadata: list[str]) -> Any:
    named = {name.replace("_", "-"): values for name, values in metadata.items()}
    return json.loads(await Invocations(agent).run(json.dumps(body).encode(), named))


async def test_run_answers_as_over_http() -> None:
    agent = StandInAgent()
    body = {"message": "hello", "conversation_id": "c", "run_id": "r", "deadline_seconds": 2.5}
    answer = await run(agent, body, **WHO)
    (asked,) = agent.asked
    assert (answer["text"], answer["run_id"]) == ("about hello", "r")
    assert (asked.conversation_id, asked.deadline) == ("c", 2.5)
    assert (asked.user_id, asked.attributes) == ("zoe", {"plan": "pro"})


async def test_run_without_waiting_tells_how_the_run_is() -> None:
    assert (await run(StandInAgent(), {"message": "m", "wait": False}))["state"] == "running"


async def test_a_key_names_the_run_unless_it_has_an_id() -> None:
    agent = StandInAgent()
    await run(agent, {"message": "m"}, idempotency_key=["k"])
    await run(agent, {"message": "m"}, idempotency_key=["k"])
    await run(agent, {"message": "m", "run_id": "r"}, idempotency_key=["k"])
    first, second, third = (asked.run_id for asked in agent.asked)
    assert first == second != third == "r"


@pytest.mark.parametrize(
    "body",
    [{}, {"message": "m", "user_id": "x"}, {"message": "m", "attributes": {}}, [], "m", None],
)
async def test_what_is_no_request_is_refused(body: Any) -> None:
    agent = StandInAgent()
    with pytest.raises(ValidationError):
        await run(agent, body)
    assert agent.asked == []


async def test_a_user_named_twice_is_refused() -> None:
    with pytest.raises(BadCaller, match="came 2 times"):
        await run(StandInAgent(), {"message": "m"}, retunable_user=["zoe", "max"])


@pytest.mark.parametrize(
    ("sent", "user"),
    [("UTF-8''Zo%C3%AB", "Zoë"), ("utf-8''50%25", "50%"), ("50%25", "50%25")],
)
async def test_a_user_may_be_percent_encoded(sent: str, user: str) -> None:
    agent = StandInAgent()
    await run(agent, {"message": "m"}, retunable_user=[sent])
    assert agent.asked[0].user_id == user


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ("UTF-8''Zo%EB", "percent-encoding"),
        ("UTF-8''100%", "percent-encoding"),
        ("UTF-8''zoe%0Aroot", "control characters"),
        ("UTF-8''" + "%C3%AB" * 257, "1 to 256"),
        ("UTF-8''", "without a user"),
        ("", "without a user"),
    ],
)
async def test_a_user_that_cannot_be_read_is_refused(sent: str, why: str) -> None:
    with pytest.raises(BadCaller, match=why):
        await run(StandInAgent(), {"message": "m"}, retunable_user=[sent])


async def test_status_is_of_the_agent_or_of_a_run() -> None:
    invocations = Invocations(StandInAgent(kept={"r": a_run("r")}))
    assert json.loads(await invocations.status(b"", {}))["status"] == "READY"
    assert json.loads(await invocations.status(b'{"run_id": "r"}', {}))["state"] == "finished"
    with pytest.raises(RunUnknown):
        await invocations.status(b'{"run_id": "nobody"}', {})


async def test_config_is_the_same_report_as_over_http() -> None:
    report = json.loads(await Invocations(StandInAgent()).config(b"", {}))
    assert (report["agent"], report["config"]["role"]) == ("config-aware-agent", "Assistant")
