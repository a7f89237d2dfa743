"""A flag is published only where the running program could take it, above each version it stands on."""

from __future__ import annotations

import pytest

from tests.integration.cli.checked_store import AGENT, CheckedStore, save
from tests.integration.cli.conftest import Ended, Retune

pytestmark = pytest.mark.embedded


def flag(retune: Retune, verb: str, name: str, *options: str) -> Ended:
    return retune("flag", verb, AGENT, name, "-m", "x", "--json", *options)


@pytest.mark.parametrize(
    ("options", "field", "reason"),
    [
        (("--tool", "serach=on"), "tools", "names 'serach', which this program has not registered"),
        (("--guardrail", "lenght=on"), "guardrails", "names 'lenght'"),
        (("--set", "model=other"), None, "'other' is not allowed with provider 'openai'"),
    ],
)
def test_what_the_program_has_not_is_not_published(
    retune: Retune,
    checked_store: CheckedStore,
    options: tuple[str, ...],
    field: str | None,
    reason: str,
) -> None:
    before = checked_store.document
    with checked_store.running():
        refused = flag(retune, "create", "beta", *options)

    assert (refused.code, refused.json["flag"], refused.json["field"]) == (2, "beta", field)
    assert reason in refused.json["error"]
    assert checked_store.document == before


def test_what_the_program_has_is_published_and_says_who_checked_it(
    retune: Retune, checked_store: CheckedStore
) -> None:
    with checked_store.running():
        made = flag(retune, "create", "beta", "--tool", "search=off")

    assert list(checked_store.flags) == ["beta"]
    assert (len(made.json["check"]["pids"]), made.json["check"]["unchecked"]) == (1, None)


def test_a_change_is_checked_too(retune: Retune, checked_store: CheckedStore) -> None:
    with checked_store.running():
        flag(retune, "create", "beta", "--tool", "search=off")
        before = checked_store.document
        refused = flag(retune, "set", "beta", "--tool", "serach=on")

    assert "flag beta: tools names 'serach'" in refused.json["error"]
    assert checked_store.document == before


def test_where_nobody_runs_it_is_said_that_nothing_was_checked(
    retune: Retune, checked_store: CheckedStore
) -> None:
    made = retune("flag", "create", AGENT, "beta", "-m", "x", "--tool", "serach=on")

    assert made.code == 0
    assert "not checked against what the program allows: no running process" in made.out


def test_a_flag_that_nobody_could_check_is_not_put_on_but_can_be_taken_away(
    retune: Retune, checked_store: CheckedStore
) -> None:
    flag(retune, "create", "beta", "--tool", "serach=on")
    with checked_store.running():
        assert flag(retune, "enable", "beta").json["outcome"] == "program_refuses"
        assert not checked_store.flags["beta"]["enabled"]
        assert flag(retune, "remove", "beta").code == 0


def test_another_flag_that_the_program_cannot_take_is_named(
    retune: Retune, checked_store: CheckedStore
) -> None:
    flag(retune, "create", "old", "--tool", "serach=on")
    with checked_store.running():
        refused = flag(retune, "create", "new", "--tool", "search=off")

    assert "flag old: tools names 'serach'" in refused.json["error"]
    assert list(checked_store.flags) == ["old"]


def test_a_version_that_standing_flags_do_not_fit_is_not_activated(
    retune: Retune, checked_store: CheckedStore
) -> None:
    save(retune, provider="azure", model="newer")
    with checked_store.running():
        flag(retune, "create", "beta", "--set", "model=offline")
        before = checked_store.document
        refused = retune("activate", AGENT, "2", "-m", "x", "--json")

    assert "flag beta: model and provider 'offline' is not allowed" in refused.json["error"]
    assert checked_store.document == before


def test_a_canary_that_standing_flags_do_not_fit_is_not_started(
    retune: Retune, checked_store: CheckedStore
) -> None:
    save(retune, provider="azure", model="newer")
    with checked_store.running():
        flag(retune, "create", "beta", "--set", "model=offline", "--percent", "10")
        before = checked_store.document
        refused = retune("canary", "start", AGENT, "2", "-m", "x", "--anyway", "--json")

    assert "flag beta: model and provider 'offline' is not allowed" in refused.json["error"]
    assert checked_store.document == before
