"""git as the source of truth, on a real repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from dev.redis import RedisServer
from tests.integration.cli.conftest import Retune
from tests.integration.cli.test_release_commands import config


class Repository:
    """A git repository with a folder ``agents``."""

    def __init__(self, root: Path) -> None:
        self.agents = root / "agents"
        self.root = root
        self.agents.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Maria Ü", "-c", "user.email=maria@example.com"]
        done = subprocess.run(
            ["git", *who, "-c", "commit.gpgsign=false", *arguments],
            cwd=self.root,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def write(self, agent: str, role: str) -> None:
        folder = self.agents / agent
        folder.mkdir(exist_ok=True)
        values = config(role)
        (folder / "role.md").write_text(values.pop("role") + "\n")
        (folder / "agent.yaml").write_text(yaml.safe_dump({"agent": agent, **values}))

    def commit(self, subject: str) -> str:
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", subject)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, retune: Retune) -> Repository:
    if shutil.which("git") is None:
        pytest.skip("MISSING git")
    made = Repository(tmp_path / "repository")
    made.write("support-bot", "You support.\n\nKindly.")
    made.write("sales-bot", "You sell.")
    made.commit("Two agents")
    return made


def numbers(retune: Retune, repository: Repository) -> dict[str, tuple[int, bool]]:
    """Each agent's version after a synchronisation, and whether it is new."""
    ended = retune("sync", str(repository.agents), "--json")
    assert ended.code == 0, ended.out
    return {one["agent"]: (one["version"]["number"], one["saved"]) for one in ended.json["agents"]}


def test_each_agent_gets_a_version_with_commit_author_and_subject(
    retune: Retune, repository: Repository
) -> None:
    commit = repository.git("rev-parse", "HEAD")
    retune("sync", str(repository.agents))
    shown = retune("show", "support-bot", "1", "--json").json
    assert shown["version"]["source"] == f"git:{commit}"
    stamp = shown["version"]["stamp"]
    assert (stamp["claimed"], stamp["reason"]) == ("Maria Ü <maria@example.com>", "Two agents")
    assert shown["config"]["role"] == "You support.\n\nKindly."


def test_twice_changes_nothing(retune: Retune, repository: Repository) -> None:
    numbers(retune, repository)
    assert numbers(retune, repository) == {"support-bot": (1, False), "sales-bot": (1, False)}


def test_a_change_makes_a_version_of_that_agent_alone_and_a_revert_another(
    retune: Retune, repository: Repository
) -> None:
    numbers(retune, repository)
    repository.write("sales-bot", "You sell more.")
    repository.commit("More")
    assert numbers(retune, repository) == {"support-bot": (1, False), "sales-bot": (2, True)}
    repository.git("revert", "--no-edit", "HEAD")
    assert numbers(retune, repository) == {"support-bot": (1, False), "sales-bot": (3, True)}


def test_an_agent_that_is_added_gets_its_first_version_and_one_that_is_removed_keeps_its_own(
    retune: Retune, repository: Repository
) -> None:
    numbers(retune, repository)
    repository.write("billing-bot", "You bill.")
    shutil.rmtree(repository.agents / "sales-bot")
    repository.commit("One comes, one goes")
    assert numbers(retune, repository) == {"support-bot": (1, False), "billing-bot": (1, True)}
    assert len(retune("versions", "sales-bot", "--json").json["versions"]) == 1


def test_a_renamed_folder_is_the_same_agent(retune: Retune, repository: Repository) -> None:
    numbers(retune, repository)
    repository.git("mv", "agents/sales-bot", "agents/sales")
    repository.commit("Rename")
    assert numbers(retune, repository) == {"support-bot": (1, False), "sales-bot": (1, False)}


def test_a_merge_brings_both_sides(retune: Retune, repository: Repository) -> None:
    numbers(retune, repository)
    repository.git("checkout", "--quiet", "-b", "side")
    repository.write("sales-bot", "You sell on the side.")
    side = repository.commit("Side")
    repository.git("checkout", "--quiet", "main")
    repository.write("support-bot", "You support on main.")
    repository.commit("Main")
    repository.git("merge", "--quiet", "--no-ff", "-m", "Merge side", "side")
    assert numbers(retune, repository) == {"support-bot": (2, True), "sales-bot": (2, True)}
    shown = retune("show", "sales-bot", "2", "--json").json
    assert shown["version"]["source"] == f"git:{side}"


def test_one_broken_file_fails_all_of_it_before_anything_is_written(
    retune: Retune, repository: Repository
) -> None:
    repository.write("support-bot", "Changed")
    (repository.agents / "sales-bot" / "agent.yaml").write_text("goal: x\ntools: [\n")
    repository.commit("Broken")
    ended = retune("sync", str(repository.agents), "--json")
    assert ended.code == 2
    [fault] = ended.json["faults"]
    assert fault["file"].endswith("sales-bot/agent.yaml")
    assert fault["line"] == 3
    assert retune("versions", "support-bot", "--json").json["versions"] == []


def test_every_broken_file_is_named_with_its_field(retune: Retune, repository: Repository) -> None:
    for agent, text in (
        ("support-bot", "tools: []\nmax_iterations: 0\n"),
        ("sales-bot", "role: twice\ntools: []\n"),
    ):
        (repository.agents / agent / "agent.yaml").write_text(text)
    repository.commit("Broken")
    faults = retune("sync", str(repository.agents), "--json").json["faults"]
    found = {(fault["file"].split("/")[-2], fault["line"], fault["field"]) for fault in faults}
    assert found == {("support-bot", 2, "max_iterations"), ("sales-bot", 1, "role")}


def test_what_no_commit_has_is_not_taken(retune: Retune, repository: Repository) -> None:
    repository.write("sales-bot", "Not committed")
    ended = retune("sync", str(repository.agents))
    assert ended.code == 2
    assert "no commit has yet" in ended.err


def test_check_tells_drift_between_git_store_and_what_is_published(
    retune: Retune,
    repository: Repository,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RETUNABLE_STORE", redis_server.url)
    shutil.rmtree(repository.agents / "sales-bot")  # the store is one agent's
    repository.commit("One agent")
    agents = str(repository.agents)
    assert retune("sync", agents, "--check").code == 3  # nothing saved
    retune("sync", agents)
    assert retune("sync", agents, "--check").code == 3  # nothing active
    assert retune("sync", agents, "--activate").code == 0
    assert retune("sync", agents, "--check").code == 0
    assert retune("sync", agents, "--check", "--env", "staging").code == 3  # nothing active there
    with redis_server.client() as client:
        client.delete("support_bot")
    assert retune("sync", agents, "--check").code == 3  # nothing published


TEXTS = ["plain", "", "a\nb", "a\nb\n", "\n", "Zoë \u2028 \x07 \ufeff", "x" * 500, "\r\n", "# no"]


@pytest.mark.parametrize("text", TEXTS)
def test_an_export_reads_back_the_same(retune: Retune, tmp_path: Path, text: str) -> None:
    import json

    values = config(text, instructions=[text], style_guidelines=[text, "more"])
    (tmp_path / "version.json").write_text(json.dumps(values))
    assert retune("save", "support-bot", "version.json", "-m", "x").code == 0
    ended = retune("export", "support-bot", "out")
    assert ended.code == 0, ended.err
    agent = str(tmp_path / "out" / "support-bot" / "agent.yaml")
    assert retune("diff", "support-bot", "1", agent, "--exit-code").code == 0
