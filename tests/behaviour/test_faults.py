"""After any fault the next write is applied within 5 s, and the status says what was done.

All with the library's own timings, for the bound is about them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.behaviour.agent_settings import AgentSettings
from tests.behaviour.backend import UNHEARD_GOAL, UNHEARD_KEY, Fault

if TYPE_CHECKING:
    from tests.behaviour.agent_process import AgentProcess, Json
    from tests.behaviour.lab import Lab
    from tests.behaviour.measured import RecordProperty

APPLIED_SECONDS = 5.0
NOTICED_SECONDS = 10.0
SETTLED_SECONDS = 15.0
MOST_ATTEMPTS = 5

OUTAGES = frozenset(
    {
        Fault.STORE_KILLED,
        Fault.STORE_KILLED_FLAGS_LOST,
        Fault.STORE_PAUSED,
        Fault.SIDECAR_KILLED,
        Fault.SIDECAR_TERMINATED,
        Fault.SIDECAR_PAUSED,
    }
)


@pytest.mark.timeout(90)
def test_the_next_write_is_applied_after(
    own_lab: Lab, fault: Fault, record_property: RecordProperty
) -> None:
    lab, agent = own_lab, _started(own_lab)
    before = agent.config()
    with lab.backend.suffering(fault):
        if fault in OUTAGES:
            _wait_noticed(agent, before)
    if fault is Fault.LISTENER_BROKEN:
        agent.wait_values({"goal": UNHEARD_GOAL}, within_seconds=APPLIED_SECONDS)
    applied = _write_and_wait(lab, agent, "Role after the fault")
    record_property("applied_seconds", round(applied, 3))
    if fault in lab.backend.deaf_for_good:
        _write_until_polling(lab, agent)
    else:
        replaced = _wait_replaced(agent, since=before)
        record_property("cause", replaced["last_replacement_cause"])
        _write_until_live(lab, agent)
    agent.answer()
    assert agent.values()["role"] in lab.told()


def test_a_key_created_while_nobody_hears_of_it_is_found_in_its_turn(own_lab: Lab) -> None:
    lab, timings = own_lab, {"reconcile_seconds": 0.3, "absent_key_seconds": 3.0}
    agent = _started(lab, AgentSettings(timings=timings))
    with lab.backend.suffering(Fault.NOTIFICATIONS_OFF):
        lab.backend.set("guardrail_threshold", "0.75")
    agent.wait_values({"guardrail_threshold": 0.75}, within_seconds=3.0 + 1.0)


def _started(lab: Lab, settings: AgentSettings | None = None) -> AgentProcess:
    """Start an agent and write what is written later: on Redis a new key has to wait its turn."""
    agent = lab.start_agent(settings)
    agent.wait_live()
    agent.wait_settled()
    with lab.backend.writer() as write:
        write({"agent_role": "Role before the fault", UNHEARD_KEY: "Goal before the fault"})
    agent.wait_values({"role": "Role before the fault", "goal": "Goal before the fault"})
    return agent


def _write_and_wait(lab: Lab, agent: AgentProcess, role: str) -> float:
    """Write a role and return the seconds until the agent runs on it."""
    back = time.monotonic()
    lab.backend.set("agent_role", role)
    agent.wait_values({"role": role}, within_seconds=APPLIED_SECONDS)
    return time.monotonic() - back


def _wait_noticed(agent: AgentProcess, before: Json) -> None:
    def noticed(config: Json) -> bool:
        return any(
            config[part] != before[part] for part in ("status", "stream", "replacements", "detail")
        )

    agent.wait_config(noticed, what="the agent to notice", within_seconds=NOTICED_SECONDS)


def _wait_replaced(agent: AgentProcess, *, since: Json) -> Json:
    config = agent.wait_config(
        lambda config: config["replacements"] > since["replacements"],
        what="a replaced stream",
        within_seconds=SETTLED_SECONDS,
    )
    assert config["last_replacement_cause"]
    return config


def _write_until_live(lab: Lab, agent: AgentProcess) -> None:
    """Write once more: the new stream brings it, which is what proves the stream."""
    _write_and_wait(lab, agent, "Role on the new stream")
    agent.wait_config(
        lambda config: (config["status"], config["stream"]) == ("READY", "live"),
        what="READY with a live stream",
        within_seconds=APPLIED_SECONDS,
    )


def _polls(config: Json) -> bool:
    return bool(config["stream"] == "polling")


def _write_until_polling(lab: Lab, agent: AgentProcess) -> None:
    """Write on until the agent has found out that no stream of this backend will ever speak."""
    config = agent.config()
    for attempt in range(MOST_ATTEMPTS):
        seen = config["replacements"]
        agent.wait_settled()
        _write_and_wait(lab, agent, f"Role of attempt {attempt}")
        config = agent.wait_config(
            lambda config, seen=seen: config["replacements"] > seen or _polls(config),
            what="another stream, or none",
            within_seconds=SETTLED_SECONDS,
        )
        if _polls(config):
            break
    assert (config["status"], config["stream"]) == ("READY", "polling"), config
    assert config["last_replacement_cause"]
    _write_and_wait(lab, agent, "Role while polling")
