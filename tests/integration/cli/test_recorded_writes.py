"""``set``, ``unset`` and ``reset`` where a release store is known: audited, compared, signed with a key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from retunable.config.items import Item
from retunable.release.opening import open_writer
from retunable.release.signing import fits
from retunable.release.store_url import StoreURL
from retunable.release.writer import ConfigurationWriter
from tests.integration.cli.conftest import Ended, Retune
from tests.integration.cli.test_release_commands import config
from tests.unit.config.signers import OURS, new_pem

pytestmark = pytest.mark.embedded
AGENT = "support-bot"
KEY = "support_bot"
Tune = Callable[..., Ended]


@pytest.fixture
def writer(embedded_file: str) -> Iterator[ConfigurationWriter]:
    """The configuration store; what differs between stores is shown in tests/contract/publication."""
    opened = open_writer(StoreURL.parse(embedded_file))
    yield opened
    opened.close()


@pytest.fixture
def tune(retune: Retune, embedded_file: str, monkeypatch: pytest.MonkeyPatch) -> Tune:
    """Run a command about the agent, as maria says that she is."""
    monkeypatch.setenv("RETUNABLE_STORE", embedded_file)

    def run(*arguments: str) -> Ended:
        return retune(*arguments, "--agent", AGENT, "--actor", "maria", "--no-wait", "--json")

    return run


@pytest.fixture
def released(retune: Retune, tune: Tune, tmp_path: Path) -> Tune:
    """The same where version 1 is active."""
    (tmp_path / "version.json").write_text(json.dumps(config("Released")))
    retune("save", AGENT, "version.json", "-m", "x")
    assert retune("activate", AGENT, "1", "-m", "go").code == 0
    return tune


@pytest.fixture
def signing(tmp_path: Path, retune: Retune, monkeypatch: pytest.MonkeyPatch) -> str:
    """A signing key that the commands find; its id."""
    (tmp_path / "release.pem").write_text(new_pem())
    monkeypatch.setenv("RETUNABLE_SIGNING_KEY", "file:release.pem")
    key: str = retune("key", "file:release.pem", "--json").json["key"]
    assert key != OURS.id
    return key


def entries(retune: Retune, *actions: str) -> list[dict[str, Any]]:
    found = retune("audit", AGENT, "--json").json["entries"]
    assert retune("audit", "--verify").code == 0
    return [entry for entry in found if entry["action"] in actions]


def document(writer: ConfigurationWriter) -> dict[str, Any]:
    text = value(writer, KEY)
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def value(writer: ConfigurationWriter, key: str = "agent_role") -> str | None:
    item = writer.read([key]).get(key)
    return item.value if isinstance(item, Item) else None


def test_a_set_is_in_the_audit_from_what_to_what(
    retune: Retune, released: Tune, writer: ConfigurationWriter
) -> None:
    released("set", "agent_role", "First")
    ended = released("set", "agent_role", "Second", "-m", "they asked")

    assert ended.code == 0, ended.out
    assert value(writer) == "Second"
    _, entry = entries(retune, "set")
    assert entry["data"]["changes"] == {"agent_role": {"old": "First", "new": "Second"}}
    assert (entry["stamp"]["claimed"], entry["stamp"]["reason"]) == ("maria", "they asked")
    assert entry["stamp"]["actor"] != "maria"
    shown = retune("audit", AGENT, "--field", "agent_role").out
    assert 'agent_role: "First" -> "Second"' in shown


def test_an_unset_is_in_the_audit(
    retune: Retune, released: Tune, writer: ConfigurationWriter
) -> None:
    released("set", "agent_role", "First")
    assert released("unset", "agent_role").code == 0

    assert value(writer) is None
    [entry] = entries(retune, "unset")
    assert entry["data"]["changes"] == {"agent_role": {"old": "First", "new": None}}


def test_a_batch_is_in_the_audit_with_its_fields(
    retune: Retune, tune: Tune, tmp_path: Path
) -> None:
    retune("migrate")
    (tmp_path / "batch.json").write_text('{"role": "a", "goal": "b"}')
    assert tune("set", "--file", "batch.json").code == 0

    [entry] = entries(retune, "set")
    assert entry["data"]["fields"] == ["role", "goal"]
    assert json.loads(entry["data"]["changes"][KEY]["new"]) == {"role": "a", "goal": "b"}


def test_a_reset_is_a_deployment_above_the_last_one(
    retune: Retune, released: Tune, writer: ConfigurationWriter
) -> None:
    released("set", "agent_role", "First")
    assert released("reset", "--yes", "-m", "anew").code == 0

    assert (document(writer)["reset"], document(writer)["generation"]) == (True, 2)
    assert value(writer) is None
    [entry] = entries(retune, "reset")
    assert (entry["old_version"], entry["stamp"]["reason"]) == (1, "anew")
    assert retune("status", AGENT, "--check").code == 0


def test_unsetting_the_last_key_is_a_reset(
    retune: Retune, tune: Tune, writer: ConfigurationWriter
) -> None:
    retune("migrate")
    tune("set", "agent_role", "First")
    assert tune("unset", "agent_role").code == 0

    assert (document(writer)["reset"], value(writer)) == (True, None)
    assert len(entries(retune, "reset")) == 1


def test_unsetting_the_document_keeps_the_other_keys(
    retune: Retune, released: Tune, writer: ConfigurationWriter
) -> None:
    released("set", "agent_role", "Stays")
    released("set", "agent_goal", "Goes")
    assert released("unset", KEY, "agent_goal").code == 0

    assert document(writer)["reset"] is True
    assert (value(writer), value(writer, "agent_goal")) == ("Stays", None)


def test_without_a_release_store_nothing_is_told_and_none_is_made(
    tune: Tune, writer: ConfigurationWriter, tmp_path: Path
) -> None:
    ended = tune("set", "agent_role", "First")

    assert (ended.code, ended.json["releases"], value(writer)) == (0, None, "First")
    assert not (tmp_path / ".retunable" / "releases.db").exists()


def test_whose_agent_it_is_must_be_said_where_it_is_told(
    retune: Retune, released: Tune, writer: ConfigurationWriter
) -> None:
    refused = retune("set", "agent_role", "First")

    assert refused.code == 2
    assert "--agent NAME" in refused.err
    assert value(writer) is None


def test_a_release_store_that_is_away_keeps_everything_as_it_is(
    tune: Tune, writer: ConfigurationWriter
) -> None:
    refused = tune("set", "agent_role", "First", "--releases", "postgresql://127.0.0.1:1/none")

    assert refused.code == 1
    assert "cannot be reached" in refused.json["error"]
    assert value(writer) is None


def test_with_a_key_a_value_goes_into_the_signed_envelope(
    retune: Retune, signing: str, released: Tune, writer: ConfigurationWriter
) -> None:
    ended = released("set", "agent_role", "Signed", "-m", "they asked")

    assert ended.code == 0, ended.out
    assert document(writer)["overrides"]["role"]["value"] == "Signed"
    assert document(writer)["signature"]["key"] == signing
    assert fits(document(writer))
    assert value(writer) is None
    [entry] = entries(retune, "override")
    assert entry["data"]["fields"] == ["role"]
    assert entry["stamp"]["claimed"] == "maria"


@pytest.mark.usefixtures("signing")
def test_with_a_key_unset_ends_what_the_envelope_holds_and_keeps_the_rest(
    released: Tune, writer: ConfigurationWriter
) -> None:
    released("set", "agent_role", "Signed")
    released("set", "agent_goal", "Signed too")
    assert released("unset", "agent_role").code == 0

    assert document(writer)["overrides"].keys() == {"goal"}
    assert fits(document(writer))


@pytest.mark.usefixtures("signing")
def test_with_a_key_a_reset_is_signed(released: Tune, writer: ConfigurationWriter) -> None:
    assert released("reset", "--yes").code == 0
    assert document(writer)["reset"] is True
    assert fits(document(writer))


@pytest.mark.usefixtures("signing")
def test_with_a_key_nothing_is_set_where_no_release_is_active(
    retune: Retune, tune: Tune, writer: ConfigurationWriter
) -> None:
    retune("migrate")
    refused = tune("set", "agent_role", "x")

    assert refused.code == 1
    assert "retune activate" in refused.json["error"]
    assert (value(writer), document(writer)) == (None, {})


@pytest.mark.usefixtures("signing")
def test_with_a_key_a_batch_is_refused_and_the_way_is_named(
    released: Tune, tmp_path: Path, writer: ConfigurationWriter
) -> None:
    (tmp_path / "batch.json").write_text('{"role": "a"}')
    refused = released("set", "--file", "batch.json", "--force")

    assert refused.code == 2
    assert "retune save" in refused.json["error"]
    assert document(writer)["generation"] == 1
