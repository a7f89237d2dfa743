"""Invariants 6 and 8: changed at each step, a run completes and names what each step ran on."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from retunable.config.checksum import checksum
from retunable.testing import answer, tool_calls
from tests.behaviour import runs
from tests.behaviour.agent_settings import AGENT, DOCUMENT_KEY, AgentSettings, Pin

if TYPE_CHECKING:
    from retunable.testing import RecordedRequest, Reply
    from tests.behaviour.agent_process import AgentProcess, Json
    from tests.behaviour.lab import Lab

STEPS = 12
LIMITS = (10, 2, 30)
TOOLS = (["note"], ["note", "work"])
ANSWER = "Twelve steps later."
REVOKED_AT = 2


@pytest.mark.parametrize("pin", ["call", "turn", "conversation"])
def test_each_step_runs_on_the_config_that_its_pin_promises_and_names_it(
    lab: Lab, pin: Pin
) -> None:
    agent = lab.start_agent(AgentSettings(pin=pin, max_iterations=LIMITS[-1]))
    agent.wait_live()
    stood = [_apply(lab, agent, number=0)]

    def change(request: RecordedRequest) -> Reply:
        number = len(stood)
        if number == STEPS:
            return answer(ANSWER)
        stood.append(_apply(lab, agent, number=number))
        return tool_calls(("note", {"text": f"step {number}"}))

    lab.model.script(*[change] * STEPS)
    run = agent.answer("change", conversation_id=f"changed {pin}")
    assert (run["text"], len(run["steps"])) == (ANSWER, STEPS)
    promised = stood if pin == "call" else stood[:1] * STEPS
    assert [step["effective_checksum"] for step in run["steps"]] == [c for c, _ in promised]
    assert [_shown(request) for request in lab.asked("change")] == [told for _, told in promised]
    later = agent.answer("and now?", conversation_id=f"changed {pin}")
    expected = stood[0] if pin == "conversation" else stood[-1]
    assert later["steps"][0]["effective_checksum"] == expected[0]


@pytest.mark.parametrize("pin", ["turn", "conversation"])
def test_a_revoked_version_is_left_at_the_next_model_call(lab: Lab, pin: Pin) -> None:
    agent = lab.start_agent(AgentSettings(pin=pin))
    agent.wait_live()
    one, two = (_version(agent, number) for number in (1, 2))
    _publish(lab, agent, one, generation=1)

    def revoke(request: RecordedRequest) -> Reply:
        _publish(lab, agent, two, generation=2, revoked=[one["checksum"]])
        return tool_calls(("note", {"text": "revoked meanwhile"}))

    goes_on = tool_calls(("note", {"text": "goes on"}))
    lab.model.script(goes_on, revoke, goes_on, answer(ANSWER))
    run = agent.answer("revoke", conversation_id=f"revoked {pin}")
    assert [step["version"] for step in run["steps"]] == [1, 1, 2, 2]
    assert [step["version_checksum"] for step in run["steps"]] == [
        *[one["checksum"]] * REVOKED_AT,
        *[two["checksum"]] * REVOKED_AT,
    ]
    assert [step["unpinned"] for step in run["steps"]] == [
        None,
        None,
        "version 1 was revoked",
        None,
    ]


def test_a_pinned_tool_that_the_next_program_lacks_unpins_the_run(lab: Lab) -> None:
    agent = lab.start_agent(AgentSettings(tools=("note", "work")))
    agent.wait_live()
    lab.backend.set(DOCUMENT_KEY, json.dumps({"tools": ["note"], "role": "a note taker"}))
    agent.wait_values({"tools": ["note"]})
    pinned = _checksum(agent)
    lab.model.script(
        tool_calls(("note", {"text": "pinned"})), answer("lost", hold=threading.Event())
    )
    lab.model.script(answer(ANSWER))
    runs.begin(agent, "lose a tool")
    lab.model.wait_for_requests(2)
    agent.kill()
    agent = lab.start_agent(AgentSettings(tools=("work",), last_good=False))
    assert runs.survived(lab, agent, "lose a tool")["text"] == ANSWER
    first, second = (s["record"] for s in runs.explained(agent, "lose a tool")["steps"])
    assert (first["effective_checksum"], first["unpinned"]) == (pinned, None)
    assert second["effective_checksum"] == _checksum(agent) != pinned
    assert "the pinned config is no longer allowed: tools" in second["unpinned"]
    assert lab.model.requests[-1].tool_names == ("work",)


def _apply(lab: Lab, agent: AgentProcess, *, number: int) -> tuple[str, Json]:
    """Change everything, the limit down and up; return the checksum and what a model is told."""
    told = {
        "role": f"role {number}",
        "model": f"model-{number}",
        "tools": TOOLS[number % len(TOOLS)],
    }
    for limit in LIMITS:
        lab.backend.set(DOCUMENT_KEY, json.dumps({**told, "max_iterations": limit}))
        agent.wait_values({**told, "max_iterations": limit})
    return _checksum(agent), told


def _checksum(agent: AgentProcess) -> str:
    effective: str = agent.config()["checksums"]["effective"]
    return effective


def _shown(request: RecordedRequest) -> Json:
    """Return what a model was told of a config."""
    role = request.system_prompt.partition("You are ")[2].partition(".")[0]
    return {"role": role, "model": request.body["model"], "tools": list(request.tool_names)}


def _version(agent: AgentProcess, number: int) -> Json:
    config = agent.config()["config"] | {"tools": ["note"], "role": f"version {number}"}
    return {"version": number, "checksum": checksum(config), "config": config}


def _publish(
    lab: Lab,
    agent: AgentProcess,
    version: Json,
    *,
    generation: int,
    revoked: list[str] | None = None,
) -> None:
    envelope = {
        "retunable": 1,
        "agent": AGENT,
        "environment": "default",
        "generation": generation,
        "stable": version,
        "revoked": revoked or [],
    }
    lab.backend.set(DOCUMENT_KEY, json.dumps(envelope))
    agent.wait_values({"role": version["config"]["role"]})
