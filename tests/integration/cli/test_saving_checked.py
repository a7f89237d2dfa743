"""What is saved is what the running program can take, limits, tools and guardrails of its own included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retunable.config.agent_config import AgentConfig
from retunable.release.opening import open_writer
from retunable.release.store_url import StoreURL
from tests.integration.cli.conftest import Ended, Retune
from tests.integration.cli.live_agent import FRESH, FollowingAgent, a_declaration, served

pytestmark = pytest.mark.embedded
AGENT = "config-aware-agent"


@pytest.fixture
def running(retune: Retune, tmp_path: Path, embedded_file: str) -> Iterator[None]:
    """An agent in this folder whose program allows 50 model calls."""
    store = open_writer(StoreURL.parse(embedded_file))
    agent = FollowingAgent(declaration=a_declaration(AGENT), store=store, status=FRESH)
    with served(agent, tmp_path):
        yield
    store.close()


def save(retune: Retune, agent: str, *options: str, **values: Any) -> Ended:
    config = AgentConfig(model="offline", tools=()).to_json() | values
    Path("version.json").write_text(json.dumps(config))
    return retune("save", agent, "version.json", "-m", "x", "--json", *options)


@pytest.mark.usefixtures("running")
def test_what_the_program_forbids_is_not_saved(retune: Retune) -> None:
    refused = save(retune, AGENT, max_iterations=51)

    assert refused.code == 2
    assert refused.json["field"] == "max_iterations"
    assert "must be at most 50 in this program" in refused.json["error"]
    assert retune("versions", AGENT, "--json").json["versions"] == []


@pytest.mark.usefixtures("running")
def test_what_the_program_allows_is_saved_and_says_who_checked_it(retune: Retune) -> None:
    saved = save(retune, AGENT, max_iterations=50)

    assert saved.json["saved"]
    assert (len(saved.json["check"]["pids"]), saved.json["check"]["unchecked"]) == (1, None)


@pytest.mark.usefixtures("running")
def test_another_agents_program_is_not_asked(retune: Retune) -> None:
    saved = save(retune, "sales-bot", max_iterations=51)

    assert saved.json["saved"]
    assert "no running process" in saved.json["check"]["unchecked"]


@pytest.mark.usefixtures("running")
def test_a_version_for_the_next_program_can_be_saved(retune: Retune) -> None:
    assert save(retune, AGENT, "--unchecked", max_iterations=51).json["saved"]


def test_without_a_running_program_it_says_that_nothing_was_checked(retune: Retune) -> None:
    assert "not checked against what the program allows" in save_plainly(retune)


def save_plainly(retune: Retune) -> str:
    config = AgentConfig(model="offline", tools=()).to_json()
    Path("version.json").write_text(json.dumps(config))
    return retune("save", AGENT, "version.json", "-m", "x").out
