"""The commands of flags on a real Redis and a SQLite file, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dev.redis import RedisServer
from retunable.config.targeting import ListKey
from tests.integration.cli.conftest import Retune
from tests.integration.cli.test_release_commands import AGENT, config, document

SECRET = "a secret of the test"
KEY = ListKey.of(SECRET.encode())


@pytest.fixture
def store(
    redis_server: RedisServer, retune: Retune, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> RedisServer:
    """A configuration store with version 1 active, and the key of users in a file."""
    monkeypatch.setenv("RETUNABLE_STORE", redis_server.url)
    (tmp_path / "user.key").write_text(f"{SECRET}\n")
    monkeypatch.setenv("RETUNABLE_USER_KEY", "file:user.key")
    (tmp_path / "version.json").write_text(json.dumps(config("A")))
    assert retune("save", AGENT, "version.json", "-m", "x").code == 0
    assert retune("activate", AGENT, "1", "-m", "x").code == 0
    return redis_server


def flag(store: RedisServer) -> dict[str, Any]:
    (found,) = document(store)["flags"]
    assert isinstance(found, dict)
    return found


def created(retune: Retune, *options: str) -> None:
    ended = retune("flag", "create", AGENT, "beta", "-m", "try it", *options)
    assert ended.code == 0, ended.err


def test_a_flag_is_made_off_and_put_on_by_a_publication_of_the_active_version(
    retune: Retune, store: RedisServer
) -> None:
    before = document(store)
    created(retune, "--percent", "10", "--set", "temperature=0.2", "--tool", "search=off")
    made, standing = document(store), flag(store)
    assert (standing["enabled"], standing["percent"]) == (False, 10)
    assert (standing["set"], standing["tools"]) == ({"temperature": 0.2}, {"search": False})
    assert made["stable"] == before["stable"]
    assert made["generation"] == before["generation"] + 1

    assert retune("flag", "enable", AGENT, "beta", "-m", "go").code == 0
    assert flag(store) == standing | {"enabled": True}
    assert retune("flag", "disable", AGENT, "beta", "-m", "stop").code == 0
    assert flag(store) == standing


def test_a_percent_that_grows_keeps_its_salt(retune: Retune, store: RedisServer) -> None:
    created(retune, "--percent", "1")
    salt = flag(store)["salt"]
    retune("flag", "set", AGENT, "beta", "--percent", "50", "-m", "more")
    assert (flag(store)["percent"], flag(store)["salt"]) == (50, salt)


def test_two_flags_have_salts_of_their_own(retune: Retune, store: RedisServer) -> None:
    created(retune, "--percent", "1")
    retune("flag", "create", AGENT, "other", "--percent", "1", "-m", "x")
    assert len({one["salt"] for one in document(store)["flags"]}) == 2


def test_users_are_listed_by_keyed_hashes_and_never_by_their_ids(
    retune: Retune, store: RedisServer
) -> None:
    created(retune, "--user", "zoe", "--user", "max")
    retune("flag", "set", AGENT, "beta", "--no-user", "max", "-m", "x")
    assert flag(store)["users"] == {"key_id": KEY.id, "hashes": [KEY.listed_as("beta", "zoe")]}
    assert "zoe" not in json.dumps(document(store))


def test_a_list_is_not_mixed_of_two_keys(
    retune: Retune, store: RedisServer, tmp_path: Path
) -> None:
    created(retune, "--user", "zoe")
    (tmp_path / "other.key").write_text("other")
    ended = retune(
        "flag", "set", AGENT, "beta", "--user", "max", "--user-key", "file:other.key", "-m", "x"
    )
    assert ended.code == 2
    assert "another key" in ended.err


def test_without_a_key_no_user_is_listed(
    retune: Retune, store: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETUNABLE_USER_KEY")
    ended = retune("flag", "create", AGENT, "beta", "--user", "zoe", "-m", "x")
    assert ended.code == 2
    assert "--user-key" in ended.err
    assert document(store)["flags"] == []


def test_explain_says_what_a_user_gets_and_why(retune: Retune, store: RedisServer) -> None:
    created(retune, "--enabled", "--user", "zoe", "--when", "plan in pro,team")
    listed = retune("flag", "explain", AGENT, "zoe", "--json").json
    assert listed["flags"] == [{"name": "beta", "on": True, "reason": "listed"}]
    pro = retune("flag", "explain", AGENT, "max", "--attribute", "plan=pro")
    assert "beta: on, the attributes meet its rules" in pro.out
    free = retune("flag", "explain", AGENT, "max", "--attribute", "plan=free")
    assert "beta: off, the attributes do not meet its rules" in free.out


def test_an_activation_and_an_override_carry_flags_on(retune: Retune, store: RedisServer) -> None:
    created(retune, "--percent", "10")
    standing = flag(store)
    retune("override", AGENT, "temperature", "0.1", "--expires", "1h", "-m", "x")
    assert flag(store) == standing
    retune("activate", AGENT, "1", "-m", "again")
    assert flag(store) == standing


def test_what_agents_would_refuse_is_not_published(retune: Retune, store: RedisServer) -> None:
    before = document(store)
    ended = retune("flag", "create", AGENT, "Beta!", "--percent", "10", "-m", "x")
    assert ended.code != 0
    assert "must be made of [a-z0-9._-]" in ended.err
    assert document(store) == before


@pytest.mark.parametrize("command", ["enable", "remove", "set"])
def test_a_flag_that_does_not_stand_is_named(
    retune: Retune, store: RedisServer, command: str
) -> None:
    created(retune)
    ended = retune("flag", command, AGENT, "alpha", "-m", "x")
    assert ended.code == 2
    assert "the flags are: beta" in ended.err


def test_a_flag_is_not_made_twice(retune: Retune, store: RedisServer) -> None:
    created(retune)
    assert retune("flag", "create", AGENT, "beta", "-m", "x").code == 2


def test_a_removed_flag_is_gone(retune: Retune, store: RedisServer) -> None:
    created(retune)
    assert retune("flag", "remove", AGENT, "beta", "-m", "done").code == 0
    assert document(store)["flags"] == []


def test_list_shows_for_whom_a_flag_is(retune: Retune, store: RedisServer) -> None:
    created(retune, "--percent", "5", "--when", "country not in DE,AT", "--expires", "2d")
    line = retune("flag", "list", AGENT).out
    assert "beta: off; 5 % of callers and country not in DE,AT; until 20" in line


def test_every_change_stands_in_the_audit_with_its_reason(
    retune: Retune, store: RedisServer
) -> None:
    created(retune)
    retune("flag", "enable", AGENT, "beta", "-m", "for the fair")
    told = retune("audit", AGENT).out
    assert "for the fair" in told
    assert "try it" in told
    assert retune("audit", "--verify").code == 0
