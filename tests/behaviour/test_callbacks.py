"""A user's callback cannot hold up the configuration: one that raises, blocks or calls back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.behaviour.agent_settings import AgentSettings, Callbacks
from tests.behaviour.agent_under_test import FROM_CALLBACK

if TYPE_CHECKING:
    from tests.behaviour.lab import Lab

# Less than a callback blocks and than a reconcile read takes: what came by the stream.
BY_STREAM_SECONDS = 3.0
SETTINGS_TIMINGS = {"reconcile_seconds": 30.0}


@pytest.mark.parametrize("callbacks", ["raise", "block", "call back"])
def test_the_stream_lives_through_a_callback_that_does(lab: Lab, callbacks: Callbacks) -> None:
    agent = lab.start_agent(AgentSettings(callbacks=callbacks, timings=SETTINGS_TIMINGS))
    agent.wait_live()
    for number in range(3):
        lab.backend.set("agent_role", f"Role {number}")
        agent.wait_values({"role": f"Role {number}"}, within_seconds=BY_STREAM_SECONDS)
    agent.answer()
    assert "Role 2" in lab.told()
    config = agent.config()
    assert (config["status"], config["stream"]) == ("READY", "live")
    assert config["replacements"] == 0


def test_a_callback_may_run_the_agent(lab: Lab) -> None:
    agent = lab.start_agent(AgentSettings(callbacks="call back"))
    agent.wait_live()
    lab.backend.set("agent_role", "Role")
    lab.model.wait_for_requests(1)
    assert lab.model.requests[0].messages[-1]["content"] == f"{FROM_CALLBACK} Role"


def test_a_callback_that_raises_is_logged_with_its_traceback(lab: Lab) -> None:
    agent = lab.start_agent(AgentSettings(callbacks="raise"))
    agent.wait_live()
    lab.backend.set("agent_role", "Role")
    agent.wait_log("RuntimeError: a callback of the user's")


def test_other_callbacks_run_beside_one_that_raises(lab: Lab) -> None:
    agent = lab.start_agent(AgentSettings(callbacks="raise"))
    agent.wait_live()
    lab.backend.set("agent_role", "Role")
    agent.wait_observed("snapshot", {"role": "Role"})
