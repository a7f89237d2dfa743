"""A flag is published only where the running program could take it, above each version it stands on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from retunable.config.agent_config import AgentConfig
from retunable.config.constraints import Constraints
from retunable.config.items import Item
from retunable.release.opening import open_writer
from retunable.release.store_url import StoreURL
from tests.integration.cli.conftest import Ended, Retune
from tests.integration.cli.live_agent import FRESH, FollowingAgent, a_declaration, served

pytestmark = pytest.mark.embedded
AGENT = "config-aware-agent"
ALLOWED = Constraints(
    registered_tools={"search"},
    models={"openai": {"offline"}, "azure": {"newer"}},
    guardrail_reasons=lambda settings: [
        f"names {name!r}, which this program has not registered" for name in settings
    ],
)


class Store:
    """The configuration store, and a program on it where the test wants one to run."""

    def __init__(self, url: str, folder: Path) -> None:
        self.writer = open_writer(StoreURL.parse(url))
        self._folder = folder
        self.declaration = replace(a_declaration(AGENT), constraints=ALLOWED)

    @property
    def document(self) -> str:
        key = self.declaration.document
        item = self.writer.read([key])[key]
        assert isinstance(item, Item)
        return item.value

    @property
    def flags(self) -> dict[str, Any]:
        return {flag["name"]: flag for flag in json.loads(self.document)["flags"]}

    def running(self) -> AbstractContextManager[str]:
        agent = FollowingAgent(declaration=self.declaration, store=self.writer, status=FRESH)
        return served(agent, self._folder)


def save(retune: Retune, **values: Any) -> None:
    config = AgentConfig(model="offline", tools=("search",)).to_json() | values
    Path("version.json").write_text(json.dumps(config))
    assert retune("save", AGENT, "version.json", "-m", "x", "--unchecked").code == 0


@pytest.fixture
def store(
    retune: Retune, tmp_path: Path, embedded_file: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """A store in which version 1 is active."""
    monkeypatch.setenv("RETUNABLE_STORE", embedded_file)
    save(retune)
    assert retune("activate", AGENT, "1", "-m", "x").code == 0
    made = Store(embedded_file, tmp_path)
    yield made
    made.writer.close()


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
    retune: Retune, store: Store, options: tuple[str, ...], field: str | None, reason: str
) -> None:
    before = store.document
    with store.running():
        refused = flag(retune, "create", "beta", *options)

    assert (refused.code, refused.json["flag"], refused.json["field"]) == (2, "beta", field)
    assert reason in refused.json["error"]
    assert store.document == before


def test_what_the_program_has_is_published_and_says_who_checked_it(
    retune: Retune, store: Store
) -> None:
    with store.running():
        made = flag(retune, "create", "beta", "--tool", "search=off")

    assert list(store.flags) == ["beta"]
    assert (len(made.json["check"]["pids"]), made.json["check"]["unchecked"]) == (1, None)


def test_a_change_is_checked_too(retune: Retune, store: Store) -> None:
    with store.running():
        flag(retune, "create", "beta", "--tool", "search=off")
        before = store.document
        refused = flag(retune, "set", "beta", "--tool", "serach=on")

    assert "flag beta: tools names 'serach'" in refused.json["error"]
    assert store.document == before


def test_where_nobody_runs_it_is_said_that_nothing_was_checked(
    retune: Retune, store: Store
) -> None:
    made = retune("flag", "create", AGENT, "beta", "-m", "x", "--tool", "serach=on")

    assert made.code == 0
    assert "not checked against what the program allows: no running process" in made.out


def test_a_flag_that_nobody_could_check_is_not_put_on_but_can_be_taken_away(
    retune: Retune, store: Store
) -> None:
    flag(retune, "create", "beta", "--tool", "serach=on")
    with store.running():
        assert flag(retune, "enable", "beta").json["outcome"] == "program_refuses"
        assert not store.flags["beta"]["enabled"]
        assert flag(retune, "remove", "beta").code == 0


def test_another_flag_that_the_program_cannot_take_is_named(retune: Retune, store: Store) -> None:
    flag(retune, "create", "old", "--tool", "serach=on")
    with store.running():
        refused = flag(retune, "create", "new", "--tool", "search=off")

    assert "flag old: tools names 'serach'" in refused.json["error"]
    assert list(store.flags) == ["old"]


def test_a_version_that_standing_flags_do_not_fit_is_not_activated(
    retune: Retune, store: Store
) -> None:
    save(retune, provider="azure", model="newer")
    with store.running():
        flag(retune, "create", "beta", "--set", "model=offline")
        before = store.document
        refused = retune("activate", AGENT, "2", "-m", "x", "--json")

    assert "flag beta: model and provider 'offline' is not allowed" in refused.json["error"]
    assert store.document == before


def test_a_canary_that_standing_flags_do_not_fit_is_not_started(
    retune: Retune, store: Store
) -> None:
    save(retune, provider="azure", model="newer")
    with store.running():
        flag(retune, "create", "beta", "--set", "model=offline", "--percent", "10")
        before = store.document
        refused = retune("canary", "start", AGENT, "2", "-m", "x", "--anyway", "--json")

    assert "flag beta: model and provider 'offline' is not allowed" in refused.json["error"]
    assert store.document == before
