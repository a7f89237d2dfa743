"""What a run id and a conversation promise: one run for an id, one run at a time in a conversation."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import pytest

from retunable.agent.loop.workflow_client import Progress, WorkflowClient
from retunable.agent.sidecar_link import SidecarLink
from retunable.agent.state.keys import StateKeys
from retunable.testing import answer
from tests.behaviour import runs
from tests.behaviour.agent_settings import AGENT
from tests.behaviour.waiting import eventually

if TYPE_CHECKING:
    from tests.behaviour.agent_process import AgentProcess, Json
    from tests.behaviour.lab import Lab

AT_ONCE = 5
CONFLICT = (409, "urn:retunable:run-id-conflict")
BUSY = (409, "urn:retunable:conversation-busy")


def test_the_same_id_and_input_at_once_are_one_run(
    standing_lab: Lab, standing_agent: AgentProcess
) -> None:
    hold = threading.Event()
    standing_lab.model.script(answer("once", hold=hold))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = [pool.submit(standing_agent.run, "at once", run_id="r/1") for _ in range(AT_ONCE)]
        standing_lab.wait_asked("at once")
        hold.set()
        told = [response.result().json() for response in asked]
    assert [one.get("text", one) for one in told] == ["once"] * AT_ONCE
    assert len(standing_lab.asked("at once")) == 1


def test_the_same_id_and_input_later_is_the_same_answer(
    standing_lab: Lab, standing_agent: AgentProcess
) -> None:
    standing_lab.model.script(answer("first"))
    first = standing_agent.answer("again", run_id="r 2")
    assert standing_agent.answer("again", run_id="r 2") == first
    assert len(standing_lab.asked("again")) == 1


@pytest.mark.parametrize("when", ["running", "finished"])
def test_the_same_id_with_other_input_is_a_conflict(
    standing_lab: Lab, standing_agent: AgentProcess, when: Literal["running", "finished"]
) -> None:
    hold, run_id = threading.Event(), f"r 3 {when}"
    standing_lab.model.script(answer("first", hold=hold))
    runs.begin(standing_agent, run_id)
    if when == "finished":
        hold.set()
        runs.ended(standing_agent, run_id)
    others: list[Json] = [{"message": "other"}, {"message": run_id, "conversation_id": "other"}]
    for other in others:
        assert _refusal(standing_agent, run_id=run_id, **other)[:2] == CONFLICT
    hold.set()
    assert runs.answered(standing_agent, run_id) == "first"
    assert standing_lab.asked("other") == []


def test_two_runs_at_once_in_one_conversation_are_one_too_many(
    standing_lab: Lab, standing_agent: AgentProcess
) -> None:
    hold = threading.Event()
    standing_lab.model.script(answer("first", hold=hold))
    runs.begin(standing_agent, "holder", conversation_id="busy")
    standing_lab.wait_asked("holder")
    refused = _refusal(standing_agent, message="second", conversation_id="busy")
    assert refused == (*BUSY, "holder")
    hold.set()
    runs.ended(standing_agent, "holder")
    standing_agent.answer("second", conversation_id="busy")


def test_of_runs_that_race_for_a_conversation_one_goes_on_at_a_time(
    standing_lab: Lab, standing_agent: AgentProcess
) -> None:
    hold = threading.Event()
    standing_lab.model.answer_always(answer("won", hold=hold))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        racing = [
            pool.submit(standing_agent.run, f"racer {n}", run_id=f"racer {n}", conversation_id="r")
            for n in range(AT_ONCE)
        ]
        eventually(
            lambda: [n for n in range(AT_ONCE) if standing_lab.asked(f"racer {n}")],
            what="the winner's request",
            within_seconds=20.0,
        )
        hold.set()
        responses = [response.result() for response in racing]
    assert {response.status_code for response in responses} <= {200, 409}
    # One that comes when the first is over may pass too: nobody runs beside another.
    steps = sorted(_only_step(r.json()) for r in responses if r.status_code == 200)
    assert steps
    assert all(ended <= began for (_, ended), (began, _) in pairwise(steps))


@pytest.mark.parametrize("how", ["stopped", "terminated", "purged"])
def test_the_lock_passes_on_from_a_holder_that_is_gone(
    standing_lab: Lab,
    standing_agent: AgentProcess,
    monkeypatch: pytest.MonkeyPatch,
    how: Literal["stopped", "terminated", "purged"],
) -> None:
    holder = f"gone {how}"
    standing_lab.model.script(answer("never", hold=threading.Event()))
    runs.begin(standing_agent, holder, conversation_id=how)
    standing_lab.wait_asked(holder)
    if how == "stopped":
        standing_agent.http.post(f"/agent/runs/{holder}/stop").raise_for_status()
    else:
        for name, value in standing_lab.backend.environment.items():
            monkeypatch.setenv(name, value)
        asyncio.run(_end_workflow(holder, purge=how == "purged"))
    standing_agent.answer(f"after {how}", conversation_id=how)
    (told,) = standing_lab.asked(f"after {how}")
    assert holder not in [message["content"] for message in told.messages]


def _only_step(run: Json) -> tuple[str, str]:
    """Return when the one step of a run began and ended."""
    (step,) = run["steps"]
    return step["started_at"], step["ended_at"]


async def _end_workflow(run_id: str, *, purge: bool) -> None:
    """Terminate a workflow behind the agent's back, as an operator would."""
    link = SidecarLink()
    try:
        workflows = WorkflowClient(link, StateKeys(AGENT, "default"))
        await workflows.terminate(run_id)
        await workflows.wait(run_id, seconds=10)
        if purge:
            await workflows.purge(run_id)
            assert (await workflows.look(run_id)).progress is Progress.ABSENT
    finally:
        await link.close()


def _refusal(agent: AgentProcess, **members: object) -> tuple[int, str, str | None]:
    """Ask for a run that is refused; returns the status, the kind of problem and the holder."""
    response = agent.http.post("/agent/runs", json=members)
    problem: Json = response.json()
    return response.status_code, problem["type"], problem.get("holder")
