"""Whatever is published is what the running program can take; a rollback is kept up by nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.cli.checked_store import (
    AGENT,
    ALLOWED,
    CheckedStore,
    dripping,
    save,
)
from tests.integration.cli.conftest import Retune
from tests.unit.config.signers import new_pem

pytestmark = pytest.mark.embedded
LATER = replace(ALLOWED, max_iterations=None)

REFUSED = {
    "activate": ("activate", AGENT, "2"),
    "promote": ("promote", AGENT, "2", "--from", "default", "--to", "default"),
    "override": ("override", AGENT, "max_iterations", "51", "--expires", "1h"),
    "canary": ("canary", "start", AGENT, "2", "--anyway"),
    "rollback": ("rollback", AGENT, "2"),
    "flag": ("flag", "create", AGENT, "deep", "--set", "max_iterations=51"),
}


@pytest.fixture
def second(retune: Retune, checked_store: CheckedStore) -> CheckedStore:
    """The same, where version 2 was active once and asks for more than the program allows."""
    save(retune, max_iterations=51)
    for version in ("2", "1"):
        assert retune("activate", AGENT, version, "-m", "x").code == 0
    return checked_store


@pytest.mark.parametrize("command", REFUSED.values(), ids=REFUSED.keys())
def test_what_the_program_cannot_take_is_published_only_unchecked(
    retune: Retune, second: CheckedStore, command: tuple[str, ...]
) -> None:
    before, generation = second.document, second.envelope["generation"]
    with second.running():
        refused = retune(*command, "-m", "x", "--json")
        unchanged = second.document
        published = retune(*command, "-m", "x", "--json", "--unchecked")

    assert (refused.code, refused.json["outcome"]) == (2, "program_refuses")
    assert "max_iterations must be at most 50 in this program" in refused.json["error"]
    assert "--unchecked" in refused.json["error"]
    assert unchanged == before
    assert published.json["check"]["unchecked"] == "--unchecked was said"
    assert second.envelope["generation"] == generation + 1


def test_a_rollback_is_published_where_one_process_takes_it(
    retune: Retune, second: CheckedStore
) -> None:
    with second.running(), second.also_running(LATER):
        check = retune("rollback", AGENT, "2", "-m", "x", "--json").json["check"]

    assert second.envelope["stable"]["version"] == 2
    assert (len(check["pids"]), len(check["faults"])) == (1, 1)


def test_an_activation_is_not_published_where_one_process_refuses_it(
    retune: Retune, second: CheckedStore
) -> None:
    with second.running(), second.also_running(LATER):
        refused = retune("activate", AGENT, "2", "-m", "x", "--json")

    assert refused.json["outcome"] == "program_refuses"


def test_a_process_that_takes_too_long_does_not_keep_a_rollback(
    retune: Retune, second: CheckedStore
) -> None:
    with dripping() as url, second.announced_at(url):
        done = retune("rollback", AGENT, "2", "-m", "x", "--json")

    assert "did not answer within 1 s" in done.json["check"]["unchecked"]
    assert second.envelope["stable"]["version"] == 2


def test_a_rollback_without_a_running_program_says_that_nobody_was_asked(
    retune: Retune, second: CheckedStore
) -> None:
    done = retune("rollback", AGENT, "2", "-m", "x")

    assert done.code == 0
    assert "not checked against what the program allows: no running process" in done.out


def test_what_only_takes_away_asks_nobody(retune: Retune, second: CheckedStore) -> None:
    held = ("override", AGENT, "max_iterations", "-m", "x")
    assert retune(*held, "51", "--expires", "1h").code == 0
    with second.running():
        ended = retune(*held, "--json")

    assert (ended.code, ended.json["check"]) == (0, None)
    assert "overrides" not in second.envelope


def test_a_value_that_is_set_inside_a_signed_envelope_is_asked_about(
    retune: Retune, second: CheckedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("release.pem").write_text(new_pem())
    monkeypatch.setenv("RETUNABLE_SIGNING_KEY", "file:release.pem")
    with second.running():
        refused = retune("set", "max_iterations", "51", "--agent", AGENT, "--json")
        assert refused.json["outcome"] == "program_refuses"
        retune("set", "max_iterations", "51", "--agent", AGENT, "--no-wait", "--unchecked")

    assert second.envelope["overrides"]["max_iterations"]["value"] == 51


def test_a_canary_is_given_to_everybody_only_where_the_program_takes_it(
    retune: Retune, second: CheckedStore
) -> None:
    promote = ("canary", "promote", AGENT, "-m", "x", "--json")
    assert retune("canary", "start", AGENT, "2", "-m", "x", "--anyway").code == 0
    with second.running():
        refused = retune(*promote)
        assert second.envelope["canary"] is not None
        promoted = retune(*promote, "--unchecked")

    assert refused.json["outcome"] == "program_refuses"
    assert promoted.json["rollout"]["state"] == "promoted"
