"""Items that vanish are a loss and not an instruction, until somebody says that they mean it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.behaviour.agent_settings import DEFAULTS, DOCUMENT_KEY
from tests.behaviour.retune import retune

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.behaviour.agent_process import AgentProcess
    from tests.behaviour.backend import Backend
    from tests.behaviour.lab import Lab

NOTICED_SECONDS = 10.0
KEPT = {"role": "the role that was kept", "goal": "stay"}
DOCUMENT = {DOCUMENT_KEY: json.dumps(KEPT)}
FIELD_KEYS = {"agent_role": KEPT["role"], "agent_goal": KEPT["goal"]}


@dataclass(frozen=True)
class Loss:
    """What stands in the store, and how it gets lost."""

    name: str
    items: Mapping[str, str]
    inflict: Callable[[Backend], None]


def _come_back_empty(backend: Backend) -> None:
    backend.stop_store()
    backend.empty_store()
    backend.start_store()


LOSSES = (
    Loss("the store comes back empty", DOCUMENT | {"max_iterations": "7"}, _come_back_empty),
    Loss("everything is wiped", FIELD_KEYS, lambda backend: backend.wipe()),
    Loss(
        "the document is deleted",
        DOCUMENT | {"max_iterations": "7"},
        lambda backend: backend.delete(DOCUMENT_KEY),
    ),
    Loss(
        "the last key is deleted",
        {"agent_role": KEPT["role"]},
        lambda backend: backend.delete("agent_role"),
    ),
)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_the_last_good_configuration_stays_until_a_reset_when(own_lab: Lab, loss: Loss) -> None:
    lab, agent = own_lab, own_lab.start_agent()
    agent.wait_live()
    _write(lab, agent, loss.items)
    before = agent.values()
    loss.inflict(lab.backend)
    _assert_kept(lab, agent, before)
    retune(agent, "reset", "--yes")
    _assert_defaults(lab, agent)


def test_a_lost_configuration_that_returns_mends_the_status(lab: Lab, agent: AgentProcess) -> None:
    _write(lab, agent, DOCUMENT)
    lab.backend.wipe()
    _wait_lost(agent)
    _write(lab, agent, DOCUMENT)
    agent.wait_config(
        lambda config: (config["status"], config["lost"]) == ("READY", []),
        what="READY with nothing lost",
        within_seconds=NOTICED_SECONDS,
    )


def test_a_store_that_was_empty_from_the_start_is_ready_on_the_defaults(
    lab: Lab, agent: AgentProcess
) -> None:
    config = agent.config()
    assert (config["status"], config["lost"]) == ("READY", [])
    assert config["config"]["role"] == DEFAULTS["role"]


def test_a_key_deleted_beside_others_uncovers_the_layer_below(
    lab: Lab, agent: AgentProcess
) -> None:
    _write(lab, agent, FIELD_KEYS)
    lab.backend.delete("agent_role")
    agent.wait_values({"role": DEFAULTS["role"], "goal": KEPT["goal"]})
    assert agent.config()["status"] == "READY"


def _write(lab: Lab, agent: AgentProcess, items: Mapping[str, str]) -> None:
    with lab.backend.writer() as write:
        write(items)
    # On Redis a field key that is new may follow its document a moment later.
    limit = {"max_iterations": 7} if "max_iterations" in items else {}
    agent.wait_values({"role": KEPT["role"], **limit})


def _assert_kept(lab: Lab, agent: AgentProcess, before: Mapping[str, object]) -> None:
    _wait_lost(agent)
    assert agent.values() == before
    assert agent.ready()[0] == 200
    agent.answer()
    assert KEPT["role"] in lab.told()
    agent.wait_observed("status", {"state": "STALE", "reason": "lost"})
    alerts = agent.log_lines("ERROR", "lost")
    assert len(alerts) == 1, alerts


def _assert_defaults(lab: Lab, agent: AgentProcess) -> None:
    agent.wait_values({"role": DEFAULTS["role"], "goal": DEFAULTS["goal"], "max_iterations": 10})
    agent.wait_config(
        lambda config: config["status"] == "READY", what="READY", within_seconds=NOTICED_SECONDS
    )
    agent.answer()
    assert DEFAULTS["role"] in lab.told()


def _wait_lost(agent: AgentProcess) -> None:
    agent.wait_config(
        lambda config: (config["status"], config["reason"]) == ("STALE", "lost"),
        what="STALE (lost)",
        within_seconds=NOTICED_SECONDS,
    )
