"""Which agent and which store a command means."""

from __future__ import annotations

from pathlib import Path

import pytest

from retunable.cli.exits import Stop
from retunable.cli.target import Target, check_owner, find_store, find_target
from retunable.cli.where import Where
from retunable.errors import ConfigurationError
from retunable.release.store_url import StoreURL
from retunable.serve.address import AgentRecord
from tests.unit.cli.records import a_record

HERE = Where(resources=Path("/nowhere"))
COMPONENT = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: runtime-config}
spec:
  type: configuration.redis
  metadata: [{name: redisHost, value: "component:6379"}]
"""


@pytest.fixture(autouse=True)
def nothing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RETUNABLE_STORE", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_only_running_agent_is_meant() -> None:
    target = find_target(HERE, [a_record("A", environment="staging", prefix="p/")])
    assert (target.agent, target.environment, target.document) == ("A", "staging", "p/a")
    assert target.field_keys["role"] == "p/agent_role"


def test_replicas_of_one_agent_are_one_target() -> None:
    target = find_target(HERE, [a_record(pid=1), a_record(pid=2)])
    assert [replica.pid for replica in target.replicas] == [1, 2]


def test_two_agents_have_to_be_told_apart() -> None:
    records = [a_record("A"), a_record("B")]
    with pytest.raises(Stop, match="--agent"):
        find_target(HERE, records)
    assert find_target(Where(agent="B"), records).agent == "B"


def test_two_environments_have_to_be_told_apart() -> None:
    records = [a_record("A"), a_record("A", environment="staging")]
    with pytest.raises(Stop, match="--env staging"):
        find_target(Where(agent="A"), records)
    assert find_target(Where(environment="staging"), records).environment == "staging"


def test_an_agent_that_does_not_run_is_known_by_its_name() -> None:
    target = find_target(Where(agent="My Agent", prefix="p/"), [a_record("Other")])
    assert (target.agent, target.document, target.replicas) == ("My Agent", "p/my_agent", ())


def test_the_document_of_nobody_is_not_guessed() -> None:
    with pytest.raises(Stop, match="--agent NAME"):
        _ = find_target(HERE, []).document


def store_of(where: Where, record_url: str | None = None) -> str:
    target: Target = find_target(where, [a_record(store=record_url)])
    return find_store(where, target).text


def test_the_store_is_the_named_one_then_the_agents_then_the_environments_then_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store.yaml").write_text(COMPONENT)
    files = Where(resources=tmp_path)
    assert store_of(files) == "redis://component:6379/0"
    monkeypatch.setenv("RETUNABLE_STORE", "redis://environment")
    assert store_of(files) == "redis://environment"
    assert store_of(files, "redis://agent") == "redis://agent"
    named = Where(resources=tmp_path, store="redis://named")
    assert store_of(named, "redis://agent") == "redis://named"


def owner_checked(where: Where, records: list[AgentRecord]) -> None:
    target = find_target(where, records)
    check_owner(target, find_store(where, target), where, records)


STORE = "redis://agent"


@pytest.mark.parametrize(
    "where",
    [Where(agent="config-awre-agent", store=STORE), Where(environment="staging", store=STORE)],
    ids=["agent", "environment"],
)
def test_the_keys_of_an_agent_that_runs_are_not_written_for_another(where: Where) -> None:
    with pytest.raises(Stop, match=r"those of config-aware-agent \(--env default\)"):
        owner_checked(where, [a_record(store=STORE)])


@pytest.mark.parametrize(
    "where",
    [
        Where(agent="config-aware-agent", store=STORE),
        Where(agent="other", store=STORE, prefix="other/"),
        Where(agent="other", store="redis://elsewhere"),
    ],
    ids=["its own", "another prefix", "another store"],
)
def test_keys_that_no_other_agent_has_are_written(where: Where) -> None:
    owner_checked(where, [a_record(store=STORE)])


def test_without_any_word_of_a_store_the_ways_to_name_one_are_said() -> None:
    with pytest.raises(ConfigurationError, match="--store URL"):
        store_of(HERE)


def test_a_folder_that_says_nothing_of_a_store_is_said_to_be_the_wrong_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="go where the agent runs, or pass --store URL"):
        found_store(Where())


@pytest.fixture
def left_file(tmp_path: Path) -> str:
    """The URL of a file that an embedded sidecar left here."""
    (tmp_path / ".retunable").mkdir()
    (tmp_path / ".retunable" / "configuration.db").touch()
    return f"sqlite://{tmp_path}/.retunable/configuration.db"


def found_store(where: Where) -> StoreURL:
    return find_store(where, find_target(where, []))


def test_the_file_that_an_embedded_sidecar_left_is_taken_where_no_agent_runs(
    left_file: str,
) -> None:
    assert found_store(Where()).text == left_file


def test_that_file_does_not_lead_away_from_a_running_agent_on_dapr(
    left_file: str, tmp_path: Path
) -> None:
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "store.yaml").write_text(COMPONENT)
    assert store_of(Where()) == "redis://component:6379/0" != left_file


def test_component_files_that_are_named_win_over_that_file(left_file: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "store.yaml").write_text(COMPONENT)
    found = found_store(Where(resources=Path("mine"))).text
    assert found == "redis://component:6379/0" != left_file


def test_the_component_says_whose_items_of_that_file_are_meant(left_file: str) -> None:
    found = found_store(Where(component="another"))
    assert (found.text, found.component) == (left_file, "another")
