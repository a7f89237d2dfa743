"""Invariant 6: a run in flight completes, whatever is changed below it and in which direction."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest

from retunable.testing import answer, tool_calls
from tests.behaviour.agent_settings import DOCUMENT_KEY, AgentSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx2

    from retunable.testing import RecordedRequest, Reply
    from tests.behaviour.agent_process import AgentProcess, Json
    from tests.behaviour.lab import Lab

STEPS = 12
CHANGED_AT = 2
ANSWER = "Twelve steps later."


def test_a_limit_lowered_in_flight_does_not_touch_a_run_pinned_to_its_turn(lab: Lab) -> None:
    run = _run_changed_in_flight(lab, pin="turn", limit=30, batch={"max_iterations": 2})
    assert (run["text"], len(run["steps"])) == (ANSWER, STEPS)


@pytest.mark.parametrize(("pin", "steps"), [("turn", 10), ("call", CHANGED_AT)])
def test_a_limit_lowered_from_10_to_2_completes_with_either_pin(
    lab: Lab, pin: Literal["turn", "call"], steps: int
) -> None:
    run = _run_changed_in_flight(lab, pin=pin, limit=10, batch={"max_iterations": 2})
    assert (run["stop_reason"], len(run["steps"])) == ("max_iterations", steps)


def test_a_limit_raised_from_2_to_30_lets_a_run_pinned_to_the_call_go_on(lab: Lab) -> None:
    run = _run_changed_in_flight(
        lab, pin="call", limit=2, batch={"max_iterations": 30}, changed_at=1
    )
    assert (run["text"], len(run["steps"])) == (ANSWER, STEPS)


def test_a_limit_raised_in_flight_does_not_touch_a_run_pinned_to_its_turn(lab: Lab) -> None:
    run = _run_changed_in_flight(
        lab, pin="turn", limit=2, batch={"max_iterations": 30}, changed_at=1
    )
    assert (run["stop_reason"], len(run["steps"])) == ("max_iterations", 2)


def test_a_run_goes_on_when_the_configuration_store_is_lost_below_it(own_lab: Lab) -> None:
    agent = own_lab.start_agent(AgentSettings(max_iterations=30))
    agent.wait_live()
    with _in_flight(own_lab, agent, at=CHANGED_AT) as running:
        own_lab.backend.stop_store()
        agent.wait_config(
            lambda config: config["detail"] != "",
            what="the agent to miss the store",
            within_seconds=10.0,
        )
    run = _completed(running, agent)
    assert (run["text"], len(run["steps"])) == (ANSWER, STEPS)


def _run_changed_in_flight(
    lab: Lab,
    *,
    pin: Literal["turn", "call"],
    limit: int,
    batch: Mapping[str, Any],
    changed_at: int = CHANGED_AT,
) -> Json:
    """Run 12 steps; while the model is busy with step ``changed_at`` the batch is applied."""
    agent = lab.start_agent(AgentSettings(pin=pin, max_iterations=limit))
    agent.wait_live()
    with _in_flight(lab, agent, at=changed_at) as running:
        lab.backend.set(DOCUMENT_KEY, json.dumps(batch))
        agent.wait_values(batch)
    return _completed(running, agent)


@contextmanager
def _in_flight(lab: Lab, agent: AgentProcess, *, at: int) -> Iterator[Future[httpx2.Response]]:
    """Keep a run of 12 steps at step ``at`` while the block runs, then let it end."""
    hold = threading.Event()
    lab.model.script(*(_step(number, at, hold) for number in range(1, STEPS)))
    lab.model.script(answer(ANSWER))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(agent.run, "Work through it.")
        try:
            lab.model.wait_for_requests(at)
            yield running
        finally:
            hold.set()


def _step(number: int, changed_at: int, hold: threading.Event) -> Any:
    reply = tool_calls(("note", {"text": f"step {number}"}))

    def held(request: RecordedRequest) -> Reply:
        assert hold.wait(20), "the test never let go"
        return reply

    return held if number == changed_at else reply


def _completed(running: Future[httpx2.Response], agent: AgentProcess) -> Json:
    response = running.result(timeout=30)
    assert response.status_code == 200, f"{response.text}\n{agent.tail()}"
    run: Json = response.json()
    return run
