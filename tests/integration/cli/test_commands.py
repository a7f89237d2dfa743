"""Commands against a real store and a running agent that follows it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from retunable.config.items import Item
from retunable.release.documents import tombstone_text
from retunable.release.writer import ConfigurationWriter
from tests.integration.cli.conftest import Retune
from tests.integration.cli.live_agent import FRESH, FollowingAgent, a_declaration, served

DOCUMENT = "config_aware_agent"


@pytest.fixture
def agent(
    store_url: str, writer: ConfigurationWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FollowingAgent]:
    monkeypatch.setenv("RETUNABLE_STORE", store_url)
    running = FollowingAgent(store=writer, status=FRESH)
    with served(running, tmp_path):
        monkeypatch.delenv("RETUNABLE_STORE")
        yield running


def stored(writer: ConfigurationWriter) -> dict[str, str]:
    keys = a_declaration().keys
    return {k: i.value for k, i in writer.read(keys).items() if isinstance(i, Item)}


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize(
    "command",
    [
        ["set", "agent_role", "Mistyped", "--agent", "config-awre-agent"],
        ["unset", "agent_goal", "--env", "staging"],
        ["reset", "--yes", "--agent", "config-awre-agent"],
    ],
)
def test_a_running_agent_is_not_retuned_in_the_name_of_another(
    retune: Retune, writer: ConfigurationWriter, store_url: str, command: list[str]
) -> None:
    assert retune("set", "agent_goal", "Stays").code == 0
    refused = retune(*command, "--store", store_url)
    assert refused.code == 2
    assert "those of config-aware-agent (--env default)" in refused.err
    assert stored(writer) == {"agent_goal": "Stays"}


@pytest.mark.usefixtures("agent")
def test_the_document_of_an_agent_that_does_not_run_is_written_beside_one_that_does(
    retune: Retune, store_url: str, tmp_path: Path
) -> None:
    (tmp_path / "batch.json").write_text('{"role": "Other"}')
    there = ("--agent", "other", "--store", store_url, "--no-wait")
    ended = retune("set", "--file", "batch.json", *there)
    assert ended.code == 0, ended.err


def test_set_says_old_and_new_and_that_the_agent_took_it(
    retune: Retune, agent: FollowingAgent
) -> None:
    ended = retune("set", "agent_role", "Expert Data Scientist")
    assert ended.code == 0
    first, second = ended.out.splitlines()
    assert first == 'agent_role: "Assistant" -> "Expert Data Scientist"'
    assert second.startswith("applied by config-aware-agent in ")
    assert second.endswith("ms (revision 2)")


def test_set_as_json_is_one_object(retune: Retune, agent: FollowingAgent) -> None:
    result = retune("set", "max_iterations", "20", "--json").json
    assert result["changes"] == [
        {"field": "max_iterations", "key": "max_iterations", "old": 10, "new": 20}
    ]
    assert result["confirmed"] is True
    assert result["replicas"][0]["outcome"] == "applied"


def test_what_the_program_does_not_allow_is_rejected_with_its_reason(
    retune: Retune, agent: FollowingAgent
) -> None:
    ended = retune("set", "max_iterations", "60")
    assert ended.code == 4
    assert "rejected by config-aware-agent: max_iterations must be at most 50" in ended.out
    assert "take it away: retune unset max_iterations" in ended.out


def test_a_deaf_agent_leaves_it_unconfirmed(retune: Retune, agent: FollowingAgent) -> None:
    _ = agent.snapshot
    agent.deaf = True
    agent.status = replace(FRESH, age_seconds=60.0)
    ended = retune("set", "agent_role", "x", "--timeout", "0.2")
    assert ended.code == 3
    assert "written, not confirmed" in ended.out
    assert "60.0 s ago" in ended.out


def test_no_wait_does_not_ask_for_a_confirmation(retune: Retune, agent: FollowingAgent) -> None:
    ended = retune("set", "agent_role", "x", "--no-wait")
    assert (ended.code, "written to" in ended.out) == (0, True)


def test_a_batch_is_applied_at_once(retune: Retune, agent: FollowingAgent, tmp_path: Path) -> None:
    (tmp_path / "batch.json").write_text('{"role": "a||b", "max_iterations": 7}')
    ended = retune("set", "--file", "batch.json")
    assert ended.code == 0
    assert agent.snapshot.config.role == "a||b"
    assert agent.snapshot.revision == 2


def test_a_batch_comes_from_standard_input_too(
    retune: Retune, agent: FollowingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"role": "x"}')))
    assert retune("set", "--file", "-").code == 0
    assert agent.snapshot.config.role == "x"


def test_a_batch_says_what_stays_covered(
    retune: Retune, agent: FollowingAgent, tmp_path: Path
) -> None:
    retune("set", "role", "above")
    (tmp_path / "batch.json").write_text('{"role": "below"}')
    ended = retune("set", "--file", "batch.json")
    assert ended.code == 0
    assert "role stay covered by field keys" in ended.out


def test_a_batch_replaces_a_release_only_when_forced(
    retune: Retune, agent: FollowingAgent, writer: ConfigurationWriter, tmp_path: Path
) -> None:
    envelope = json.dumps({"retunable": 1, "generation": 3, "stable": {}})
    writer.write({DOCUMENT: envelope})
    (tmp_path / "batch.json").write_text('{"role": "x"}')
    refused = retune("set", "--file", "batch.json")
    assert (refused.code, "--force" in refused.err) == (1, True)
    assert stored(writer) == {DOCUMENT: envelope}
    assert retune("set", "--file", "batch.json", "--force").code == 0


def test_a_tombstone_is_no_release(
    retune: Retune, agent: FollowingAgent, writer: ConfigurationWriter, tmp_path: Path
) -> None:
    text = tombstone_text("config-aware-agent", environment="default", generation=1)
    writer.write({DOCUMENT: text})
    (tmp_path / "batch.json").write_text('{"role": "x"}')
    assert retune("set", "--file", "batch.json").code == 0


def test_unset_uncovers_the_layer_below(
    retune: Retune, agent: FollowingAgent, writer: ConfigurationWriter
) -> None:
    retune("set", "role", "x")
    retune("set", "goal", "y")
    ended = retune("unset", "agent_role")
    assert ended.code == 0
    assert 'agent_role: "x" -> "Assistant"' in ended.out
    assert stored(writer) == {"agent_goal": "y"}
    again = retune("unset", "agent_role")
    assert (again.code, again.err.splitlines()[:1]) == (0, ["agent_role was not set in the store"])


def test_unset_of_the_last_key_writes_a_tombstone(
    retune: Retune, agent: FollowingAgent, writer: ConfigurationWriter
) -> None:
    retune("set", "role", "x")
    assert retune("unset", "role").code == 0
    assert list(stored(writer)) == [DOCUMENT]
    assert agent.snapshot.document == "tombstone"
    assert agent.snapshot.lost == ()
    assert agent.snapshot.config.role == "Assistant"


def test_unset_of_the_document_writes_a_tombstone(
    retune: Retune, agent: FollowingAgent, writer: ConfigurationWriter, tmp_path: Path
) -> None:
    (tmp_path / "batch.json").write_text('{"role": "x"}')
    retune("set", "--file", "batch.json")
    retune("set", "goal", "y")
    assert retune("unset", DOCUMENT).code == 0
    assert agent.snapshot.document == "tombstone"
    assert agent.snapshot.config.goal == "y"


def test_reset_goes_back_to_the_program_and_counts_the_generation_on(
    retune: Retune, agent: FollowingAgent, writer: ConfigurationWriter
) -> None:
    retune("set", "role", "x")
    retune("set", "goal", "y")
    assert retune("reset", "--yes").code == 0
    assert agent.snapshot.config == agent.declaration.defaults
    assert agent.snapshot.generation == 1
    assert retune("reset", "--yes").code == 0
    assert agent.snapshot.generation == 2


def test_reset_counts_on_from_what_the_agent_remembers(
    retune: Retune, agent: FollowingAgent, writer: ConfigurationWriter
) -> None:
    text = tombstone_text("config-aware-agent", environment="default", generation=7)
    writer.write({DOCUMENT: text})
    assert agent.snapshot.generation == 7
    writer.write({DOCUMENT: None})
    assert retune("reset", "--yes").code == 0
    assert agent.snapshot.generation == 8


def test_reset_asks_first(
    retune: Retune, agent: FollowingAgent, writer: ConfigurationWriter
) -> None:
    retune("set", "role", "x")
    ended = retune("reset")
    assert (ended.code, "--yes" in ended.err) == (2, True)
    assert stored(writer) == {"agent_role": "x"}


def test_get_shows_value_and_source(retune: Retune, agent: FollowingAgent) -> None:
    retune("set", "role", "x")
    out = retune("get").out
    assert 'agent_role = "x"   (from the store)' in out
    assert 'agent_goal = "Help"   (from the program)' in out
    assert "config-aware-agent: READY, stream live" in out


def test_get_of_one_field_as_json(retune: Retune, agent: FollowingAgent) -> None:
    retune("set", "role", "x")
    result = retune("get", "agent_role", "--json").json
    assert result["stored"]["agent_role"]["value"] == "x"
    assert list(result["effective"]) == ["role"]
    assert result["effective"]["role"]["source"]["key"] == "agent_role"


def test_a_prefix_stands_before_every_key(
    retune: Retune,
    store_url: str,
    writer: ConfigurationWriter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RETUNABLE_STORE", store_url)
    running = FollowingAgent(
        store=writer, status=FRESH, declaration=a_declaration(prefix="support/")
    )
    with served(running, tmp_path):
        assert retune("set", "role", "x", "--store", store_url).code == 0
        assert retune("set", "support/agent_goal", "y", "--store", store_url).code == 0
    assert list(writer.read(["support/agent_role", "support/agent_goal", "agent_role"])) == [
        "support/agent_role",
        "support/agent_goal",
    ]


def test_every_replica_is_asked(
    retune: Retune, agent: FollowingAgent, writer: ConfigurationWriter, tmp_path: Path
) -> None:
    (own,) = (tmp_path / ".retunable" / "agents").iterdir()
    second = json.loads(own.read_text()) | {"url": "http://127.0.0.1:1"}
    (own.parent / "config_aware_agent-2.json").write_text(json.dumps(second))
    ended = retune("set", "role", "x", "--timeout", "0.2")
    assert ended.code == 3
    assert "applied by config-aware-agent (pid" in ended.out
    assert "does not answer" in ended.out
