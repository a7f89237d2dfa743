"""The commands of releases on a real Redis and a SQLite file, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dev.redis import RedisServer
from retunable.config.agent_config import AgentConfig
from tests.integration.cli.conftest import Ended, Retune
from tests.unit.config.signers import OURS, new_pem

AGENT = "support-bot"
KEY = "support_bot"
Save = Callable[..., Ended]


def config(role: str, **values: Any) -> dict[str, Any]:
    complete = AgentConfig(role=role, goal="Help", model="offline", provider="offline")
    return complete.to_json() | {"tools": ["search"]} | values


@pytest.fixture
def store(
    redis_server: RedisServer, retune: Retune, monkeypatch: pytest.MonkeyPatch
) -> RedisServer:
    """The configuration store that the commands find."""
    monkeypatch.setenv("RETUNABLE_STORE", redis_server.url)
    return redis_server


@pytest.fixture
def save(retune: Retune, tmp_path: Path) -> Save:
    """Save a version from a file."""

    def run(role: str, **values: Any) -> Ended:
        (tmp_path / "version.json").write_text(json.dumps(config(role, **values)))
        return retune("save", AGENT, "version.json", "-m", f"say {role}", "--json")

    return run


def document(store: RedisServer) -> dict[str, Any]:
    with store.client() as client:
        found = json.loads(client.get(KEY))
    assert isinstance(found, dict)
    return found


def test_save_numbers_versions_and_makes_none_of_what_the_latest_is(save: Save) -> None:
    assert [save(role).json["version"]["number"] for role in ("A", "B")] == [1, 2]
    again = save("B").json
    assert (again["saved"], again["version"]["number"]) == (False, 2)


def test_a_wrong_file_is_named_with_line_and_field(retune: Retune, tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("role: Bot\ntools: []\nmax_iteration: 3\n")
    ended = retune("save", AGENT, "agent.yaml", "-m", "x", "--json")
    assert ended.code == 2
    assert "agent.yaml:3" in ended.json["error"]
    assert "max_iterations" in ended.json["error"]


def test_versions_show_where_each_is_active(retune: Retune, save: Save, store: RedisServer) -> None:
    save("A"), save("B")
    retune("activate", AGENT, "1", "-m", "go")
    listed = retune("versions", AGENT, "--json").json
    assert listed["active"] == {"default": 1}
    assert [version["number"] for version in listed["versions"]] == [2, 1]
    assert "[default]" in retune("versions", AGENT).out.splitlines()[1]


def test_versions_come_by_pages_that_say_how_many_are_older(
    retune: Retune, save: Save, store: RedisServer
) -> None:
    for role in "ABCDE":
        save(role)
    retune("activate", AGENT, "2", "-m", "go")
    first = retune("versions", AGENT, "--limit", "2", "--json").json
    second = retune("versions", AGENT, "--limit", "2", "--before", "4", "--json").json
    last = retune("versions", AGENT, "--before", "2", "--json").json

    pages = [[version["number"] for version in page["versions"]] for page in (first, second, last)]
    assert pages == [[5, 4], [3, 2], [1]]
    assert [page["older"] for page in (first, second, last)] == [3, 1, 0]
    assert [page["active"] for page in (first, second, last)] == [{"default": 2}] * 3
    said = retune("versions", AGENT, "--limit", "2", "--before", "4").out
    assert "2 [default]" in said
    assert said.endswith(f"1 older: retune versions {AGENT} --before 2\n")


def test_activation_publishes_clears_what_is_in_the_way_and_says_so(
    retune: Retune, save: Save, store: RedisServer
) -> None:
    save("A")
    with store.client() as client:
        client.set("agent_role", "By hand")
    said = retune("activate", AGENT, "1", "-m", "go")
    assert 'cleared agent_role = "By hand"' in said.out
    assert document(store)["stable"]["config"]["role"] == "A"
    with store.client() as client:
        assert client.exists("agent_role") == 0


def test_who_expected_another_version_is_told_who_won(
    retune: Retune, save: Save, store: RedisServer
) -> None:
    save("A"), save("B")
    retune("activate", AGENT, "2", "-m", "mine")
    lost = retune("activate", AGENT, "1", "-m", "x", "--expect", "1", "--json")
    assert (lost.code, lost.json["outcome"]) == (1, "conflict")
    assert "(mine)" in lost.json["error"]


def test_what_runs_now_becomes_a_version(retune: Retune, save: Save, store: RedisServer) -> None:
    save("A")
    retune("activate", AGENT, "1", "-m", "go")
    with store.client() as client:
        client.set("agent_role", "Tuned by hand")
    saved = retune("save", AGENT, "-m", "keep it", "--json").json["version"]
    assert (saved["number"], saved["source"], saved["parent"]) == (2, "captured", 1)
    assert retune("diff", AGENT, "2", "effective", "--exit-code").code == 0


def test_diff_is_word_by_word_and_can_be_an_exit_code(
    retune: Retune, save: Save, tmp_path: Path
) -> None:
    save("You are kind"), save("You are very kind", tools=["search", "calc"])
    said = retune("diff", AGENT, "1", "2", "--exit-code")
    assert said.code == 1
    assert "{+very +}" in said.out
    assert "+ calc" in said.out
    assert retune("diff", AGENT, "2", "version.json", "--exit-code").code == 0


def test_diff_says_that_two_are_the_same(retune: Retune, save: Save) -> None:
    save("A")
    assert "1 and 1 are the same" in retune("diff", AGENT, "1", "1").err


@pytest.mark.usefixtures("store")
def test_an_activation_after_a_reset_says_that_one_was_before(retune: Retune, save: Save) -> None:
    save("A")
    retune("activate", AGENT, "1", "-m", "go")
    retune("reset", "--agent", AGENT, "--yes", "--no-wait")
    assert "(was reset before; " in retune("activate", AGENT, "1", "-m", "again").out


@pytest.mark.usefixtures("store")
def test_a_write_without_a_reason_is_a_whole_line_of_the_audit(retune: Retune) -> None:
    retune("policy", AGENT, "--require-approval", "0", "-m", "why")
    retune("set", "agent_role", "B", "--agent", AGENT, "--no-wait")
    [line] = [line for line in retune("audit", AGENT).out.splitlines() if " set " in line]
    assert line.endswith("(role)")


def test_rollback_goes_back_and_revokes(retune: Retune, save: Save, store: RedisServer) -> None:
    save("Good"), save("Bad")
    for number in "12":
        retune("activate", AGENT, number, "-m", "go")
    bad = document(store)["stable"]["checksum"]
    assert retune("rollback", AGENT, "-m", "it lies", "--revoke").code == 0
    assert (document(store)["stable"]["version"], document(store)["revoked"]) == (1, [bad])


def test_an_override_travels_in_the_envelope_until_its_end(
    retune: Retune, save: Save, store: RedisServer
) -> None:
    save("A")
    retune("activate", AGENT, "1", "-m", "go")
    ended = retune("override", AGENT, "max_iterations", "2", "--expires", "1h", "-m", "it loops")
    assert ended.code == 0, ended.err
    assert document(store)["overrides"]["max_iterations"]["value"] == 2
    assert "max_iterations = 2 until 2" in ended.out
    assert "override: max_iterations = 2 until 2" in retune("status", AGENT).out
    ended = retune("override", AGENT, "max_iterations", "-m", "mended")
    assert "no override is left above version 1" in ended.out
    assert "overrides" not in document(store)


def test_an_override_needs_an_end(retune: Retune, save: Save, store: RedisServer) -> None:
    save("A")
    retune("activate", AGENT, "1", "-m", "go")
    assert retune("override", AGENT, "max_iterations", "2", "-m", "x").code == 2


def test_drift_is_shown_checked_and_mended(retune: Retune, save: Save, store: RedisServer) -> None:
    save("A")
    retune("activate", AGENT, "1", "-m", "go")
    with store.client() as client:
        client.delete(KEY)
    assert retune("status", AGENT, "--check").code == 3
    assert "mended" in retune("publish", AGENT).out
    assert retune("status", AGENT, "--check").code == 0


def test_the_audit_tells_all_of_it_and_verifies(
    retune: Retune, save: Save, store: RedisServer
) -> None:
    save("A"), save("B")
    for number in "12":
        retune("activate", AGENT, number, "-m", "go", "--actor", "maria")
    retune("override", AGENT, "max_iterations", "2", "--expires", "1h", "-m", "it loops")
    retune("rollback", AGENT, "-m", "back")
    entries = retune("audit", AGENT, "--json").json["entries"]
    actions = [entry["action"] for entry in entries if entry["action"] != "confirm"]
    assert actions == ["save", "save", "activate", "activate", "override", "rollback"]
    assert {entry["stamp"]["claimed"] for entry in entries if entry["action"] == "activate"} == {
        "maria"
    }
    assert retune("audit", "--verify").code == 0
    by_field = retune("audit", AGENT, "--field", "agent_role", "--json").json["entries"]
    assert by_field
    assert all("role" in entry["data"]["fields"] for entry in by_field)


def test_what_was_active_at_a_moment(retune: Retune, save: Save, store: RedisServer) -> None:
    save("A")
    retune("activate", AGENT, "1", "-m", "go")
    assert retune("at", AGENT, "2000-01-01", "--json").json["deployment"] is None
    assert retune("at", AGENT, "2999-01-01", "--json").json["deployment"]["version"] == 1


def test_environments_do_not_cross_and_promotion_takes_what_ran(
    retune: Retune, save: Save, store: RedisServer
) -> None:
    save("A")
    staging = ("--env", "staging", "--prefix", "staging/")
    assert (
        retune("promote", AGENT, "1", "--from", "staging", "--to", "default", "-m", "x").code == 1
    )
    retune("activate", AGENT, "1", "-m", "try", *staging)
    ended = retune("promote", AGENT, "1", "--from", "staging", "--to", "default", "-m", "ready")
    assert ended.code == 0, ended.err
    assert document(store)["environment"] == "default"


def test_a_policy_keeps_a_version_back_and_nobody_approves_their_own(
    retune: Retune, save: Save, store: RedisServer
) -> None:
    save("A")
    assert retune("policy", AGENT, "--require-approval", "1", "-m", "care").code == 0
    refused = retune("activate", AGENT, "1", "-m", "go", "--json")
    assert (refused.code, refused.json["outcome"]) == (1, "not_approved")
    own = retune("approve", AGENT, "1")
    assert own.code == 1
    assert "somebody else" in own.err


def test_a_key_from_a_local_secret_store_signs(
    retune: Retune, save: Save, store: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "secrets.yaml").write_text(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: vault}\n"
        "spec: {type: secretstores.local.file, version: v1, metadata: "
        "[{name: secretsFile, value: secrets.json}]}\n"
    )
    (tmp_path / "secrets.json").write_text(json.dumps({"release": new_pem()}))
    shown = retune("key", "vault/release", "--json").json["key"]
    save("A")
    ended = retune("activate", AGENT, "1", "-m", "go", "--signing-key", "vault/release")
    assert ended.code == 0, ended.err
    assert document(store)["signature"]["key"] == shown != OURS.id


def test_waiting_without_a_running_agent_says_so(
    retune: Retune, save: Save, store: RedisServer
) -> None:
    save("A")
    ended = retune("activate", AGENT, "1", "-m", "go", "--wait", "--timeout", "0")
    assert ended.code == 3
    assert "no running agent" in ended.out
