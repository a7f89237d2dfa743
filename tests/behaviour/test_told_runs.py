"""Runs are told through the real broker, each once, whatever is killed or away meanwhile."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from dev.redis import RedisServer
from retunable.testing import answer, refusal
from tests.behaviour import runs
from tests.behaviour.lab import Lab, question
from tests.behaviour.listening import Listener
from tests.behaviour.redis_backend import RedisBackend
from tests.behaviour.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.dapr import DaprBinaries

pytestmark = pytest.mark.timeout(180)

SHARED = ("version", "effective_checksum", "variant", "bucket", "arm", "anonymous", "agent")


def test_a_run_is_told_once_though_its_agent_is_killed(lab: Lab) -> None:
    script = {"killed": [answer("lost", hold=threading.Event()), answer("kept")]}
    lab.model.answer_always(lambda request: script[question(request)].pop(0))
    with Listener(lab.backend.environment) as told:
        agent = lab.start_agent()
        runs.begin(agent, "killed")
        lab.wait_asked("killed")
        told.wait_for("killed", "exposure")
        agent.kill()
        agent = lab.start_agent()
        assert runs.survived(lab, agent, "killed")["text"] == "kept"
        outcome = told.wait_for("killed", "outcome")
        for _ in range(2):
            path = "/agent/runs/killed/feedback"
            assert agent.http.post(path, json={"rating": "down"}).status_code == 204
        told.wait_for("killed", "feedback")
        counted = {kind: len(events) for kind, events in told.of("killed").items()}
    (exposure,) = told.of("killed")["exposure"]

    assert counted == {"exposure": 1, "outcome": 1, "feedback": 1}
    assert (outcome["state"], outcome["steps"]) == ("finished", 1)
    assert {name: outcome[name] for name in SHARED} == {name: exposure[name] for name in SHARED}


def test_a_run_that_fails_or_is_stopped_is_told_too(lab: Lab) -> None:
    hold = threading.Event()
    script = {"fails": refusal(404), "stopped": answer("late", hold=hold)}
    lab.model.answer_always(lambda request: script[question(request)])
    with Listener(lab.backend.environment) as told:
        agent = lab.start_agent()
        runs.begin(agent, "fails")
        runs.begin(agent, "stopped")
        told.wait_for("stopped", "exposure")
        assert agent.http.post("/agent/runs/stopped/stop").json()["state"] == "stopped"
        ends = {run: told.wait_for(run, "outcome") for run in script}
    hold.set()

    assert (ends["fails"]["state"], ends["fails"]["error_kind"]) == ("failed", "provider_refused")
    assert ends["stopped"]["state"] == "stopped"


@pytest.fixture
def broker(tmp_path: Path, redis_program: Path) -> RedisServer:
    """A broker of its own, that may be away while the stores are there."""
    return RedisServer(tmp_path / "broker")


@pytest.fixture
def lab_on_broker(
    tmp_path: Path, dapr_binaries: DaprBinaries, broker: RedisServer
) -> Iterator[Lab]:
    directory = tmp_path / "backend"
    with (
        RedisBackend.create(directory, separate_state=True, broker=broker) as backend,
        Lab(backend, tmp_path) as lab,
    ):
        yield lab


@pytest.mark.redis
def test_what_an_agent_told_while_the_broker_was_away_comes_though_the_agent_was_killed(
    lab_on_broker: Lab, broker: RedisServer
) -> None:
    lab = lab_on_broker
    agent = lab.start_agent()
    with Listener(lab.backend.environment):
        broker.stop()
    runs.begin(agent, "meanwhile")
    assert runs.answered(agent, "meanwhile") == "An answer."
    eventually(
        lambda: agent.config()["events_waiting"] >= 2,
        what="two events that wait",
        within_seconds=20.0,
    )
    agent.kill()
    broker.start()
    lab.start_agent()
    with Listener(lab.backend.environment) as told:
        told.wait_for("meanwhile", "outcome")
        told.wait_for("meanwhile", "exposure")
    assert {kind: len(events) for kind, events in told.of("meanwhile").items()} == {
        "exposure": 1,
        "outcome": 1,
    }
