"""Invariant 7: whatever is killed under a run, it completes, and nothing recorded is paid for again."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from retunable.agent.sidecar_link import SidecarLink
from retunable.agent.state.dapr_state import DaprState
from retunable.agent.state.keys import StateKeys
from retunable.testing import answer, tool_calls
from tests.behaviour import charges, runs
from tests.behaviour.agent_settings import AGENT, AgentSettings
from tests.behaviour.charges import Item, WorkingModel
from tests.behaviour.lab import question
from tests.behaviour.waiting import eventually

if TYPE_CHECKING:
    from tests.behaviour.agent_process import AgentProcess
    from tests.behaviour.lab import Lab

# A sidecar that locks itself up costs a minute; see ``runs.survived``.
pytestmark = pytest.mark.timeout(240)

# Half of what its tool still has to do; two or three seconds on an idle machine.
EXIT_SECONDS = 15.0
LONG_TOOL_SECONDS = 30.0
# Tool calls of one step.
AT_ONCE = 16
# More than two histories of ten steps.
TOOLS = 24
# Kills that come so long after the tool of a step began: in it, at its end, between the steps,
# and around the tenth, after which a run continues as new.
KILLED_AFTER = ((4, 0.0), (10, 0.03), (11, 0.01), (20, 0.04))


def test_a_sidecar_killed_during_model_calls_costs_no_second_request(lab: Lab) -> None:
    while_away, once_back = threading.Event(), threading.Event()
    holds = {"while away": while_away, "once back": once_back}
    lab.model.answer_always(lambda request: answer("kept", hold=holds.get(question(request))))
    agent = lab.start_agent()
    for run in holds:
        runs.begin(agent, run)
    lab.model.wait_for_requests(len(holds))
    with lab.backend.without_sidecar():
        while_away.set()
    # The sidecar has handed out what goes on again once it has handed out something new.
    eventually(
        lambda: agent.run("later").status_code,
        what="a sidecar that takes runs",
        within_seconds=runs.ENDED_SECONDS,
        until=lambda status: status == 200,
    )
    once_back.set()
    assert [runs.answered(agent, run) for run in holds] == ["kept", "kept"]
    assert [len(lab.asked(run)) for run in holds] == [1, 1]


def test_an_agent_killed_in_a_model_call_and_in_a_tool_repeats_those_alone(lab: Lab) -> None:
    script = {
        "in a model call": [answer("lost", hold=threading.Event()), answer("kept")],
        "in a tool": [tool_calls(("work", {"seconds": LONG_TOOL_SECONDS})), answer("done")],
    }
    lab.model.answer_always(lambda request: script[question(request)].pop(0))
    agent = lab.start_agent()
    for run in script:
        runs.begin(agent, run)
    lab.model.wait_for_requests(len(script))
    _wait_for_tool(agent, "in a tool")
    agent.kill()
    agent = lab.start_agent()
    assert [runs.survived(lab, agent, run)["text"] for run in script] == ["kept", "done"]
    assert [len(lab.asked(run)) for run in script] == [2, 2]
    assert [charge.item for charge in charges.of_tools(agent, "in a tool")] == [
        Item("in a tool", 1, 0)
    ] * 2


def test_tool_calls_that_were_recorded_but_not_reported_are_not_made_again(lab: Lab) -> None:
    asked = [("work", {"seconds": 0.0})] * AT_ONCE
    lab.model.script(tool_calls(*asked), answer("done"))
    agent = lab.start_agent()
    runs.begin(agent, "many tools")
    # Results of one step are reported 30 ms apart: time enough to be killed between.
    eventually(
        lambda: runs.results(agent, "many tools"),
        what="all results recorded",
        within_seconds=20.0,
        until=lambda results: len(results) == AT_ONCE,
    )
    # Both, as where a machine fails: Dapr 1.18.2 locks itself up (dapr/dapr pull request 10408)
    # when only a worker goes while results of one workflow come in.
    agent.kill()
    lab.backend.stop_sidecar()
    lab.backend.start_sidecar()
    agent = lab.start_agent()
    assert runs.answered(agent, "many tools") == "done"
    assert charges.most(charges.of_tools(agent, "many tools")) == 1
    assert len(lab.model.requests) == 2


def test_a_model_step_that_was_recorded_but_not_reported_is_not_asked_for_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails where a step is taken without a look at its record.

    To be killed in the millisecond between record and report cannot be timed, so the record is
    laid down from outside, while the model still thinks.
    """
    held = {"twin": answer("kept"), "killed": answer("lost", hold=threading.Event())}
    lab.model.answer_always(lambda request: held[question(request)])
    agent = lab.start_agent()
    runs.begin(agent, "twin")
    assert runs.answered(agent, "twin") == "kept"
    runs.begin(agent, "killed")
    lab.wait_asked("killed")
    for name, value in lab.backend.environment.items():
        monkeypatch.setenv(name, value)
    asyncio.run(_record_first_step_as_of("twin", of="killed"))
    agent.kill()
    agent = lab.start_agent()
    assert runs.survived(lab, agent, "killed")["text"] == "kept"
    assert len(lab.asked("killed")) == 1


def test_an_agent_killed_between_steps_and_across_histories_repeats_nothing_recorded(
    lab: Lab,
) -> None:
    model = WorkingModel(tools=TOOLS)
    lab.model.answer_always(model)
    settings = AgentSettings(max_iterations=100)
    agent = lab.start_agent(settings)
    runs.begin(agent, "long")
    for step, seconds in KILLED_AFTER:
        _wait_for_tool_of(agent, step)
        time.sleep(seconds)  # the moment itself: nothing is awaited
        agent.kill()
        agent = lab.start_agent(settings)
    assert runs.survived(lab, agent, "long")["text"] == model.answer
    done = charges.recorded(runs.explained(agent, "long"))
    assert [item.step for item in done if item.call is None] == list(range(1, TOOLS + 2))
    paid = [*model.charges, *charges.of_tools(agent, "long")]
    assert charges.late(paid, done) == []
    assert charges.most(paid) <= 2
    assert len(paid) <= len(done) + len(KILLED_AFTER)


@pytest.mark.parametrize("tool", ["work", "block"])
def test_sigterm_in_a_long_tool_ends_in_seconds_and_the_run_goes_on_at_the_next_start(
    lab: Lab, tool: str
) -> None:
    """Fails without the signal's handler, and where a tool's thread can hold up the process."""
    lab.model.script(tool_calls((tool, {"seconds": LONG_TOOL_SECONDS})), answer("done"))
    run, settings = f"terminated in {tool}", AgentSettings(tools=(tool,))
    agent = lab.start_agent(settings)
    runs.begin(agent, run)
    _wait_for_tool(agent, run)
    agent.process.send(signal.SIGTERM)
    assert agent.process.wait(within_seconds=EXIT_SECONDS) == 0
    agent = lab.start_agent(settings)
    assert runs.survived(lab, agent, run)["text"] == "done"
    assert [charge.item.step for charge in charges.of_tools(agent, run)] == [1, 1]
    assert len(lab.model.requests) == 2


async def _record_first_step_as_of(twin: str, *, of: str) -> None:
    """Record a run's first step with what another run's first step came to."""
    link, keys = SidecarLink(), StateKeys(AGENT, "default")
    try:
        state = DaprState(link)
        found = await state.get_many([keys.step(twin, 1)])
        assert (await state.insert(keys.step(of, 1), found[keys.step(twin, 1)].value)).won
    finally:
        await link.close()


def _wait_for_tool(agent: AgentProcess, run: str) -> None:
    eventually(
        lambda: charges.of_tools(agent, run), what=f"a tool call of run {run}", within_seconds=20.0
    )


def _wait_for_tool_of(agent: AgentProcess, step: int) -> None:
    eventually(
        lambda: [charge.item.step for charge in charges.of_tools(agent, "long")],
        what=f"the tool of step {step}",
        within_seconds=runs.ENDED_SECONDS,
        until=lambda steps: step in steps,
        every_seconds=0.002,
    )
