"""Where an agent may serve, and the record that it leaves."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from retunable.errors import ConfigurationError
from retunable.serve.address import AgentRecord, announced, running_agents
from retunable.serve.gate import check_exposure
from retunable.serve.listening import Address
from tests.unit.serve.standin import StandInAgent

DECLARATION = StandInAgent().declaration


def a_record(**environment: str) -> AgentRecord:
    return AgentRecord.of_this_process(
        DECLARATION, url="http://127.0.0.1:8765", environment=environment
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "agent.example"])  # noqa: S104
def test_serving_others_needs_a_token(host: str) -> None:
    with pytest.raises(ConfigurationError, match="RETUNABLE_HTTP_TOKEN"):
        check_exposure(Address(host, 80), None)
    check_exposure(Address(host, 80), "s3cret")


def test_a_record_is_there_for_its_owner_alone_while_the_agent_serves(tmp_path: Path) -> None:
    with announced(a_record(), tmp_path):
        (file,) = tmp_path.iterdir()
        assert file.name == f"config_aware_agent-{os.getpid()}.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert running_agents(tmp_path) == (a_record_like(file),)
    assert list(tmp_path.iterdir()) == []


def a_record_like(file: Path) -> AgentRecord:
    return AgentRecord.from_json(json.loads(file.read_text()))


def test_the_record_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    with announced(replace(a_record(), pid=2**22 - 1), tmp_path):
        assert running_agents(tmp_path) == ()
        assert list(tmp_path.iterdir()) == []


def test_a_later_process_with_the_same_number_is_not_taken_for_the_agent(tmp_path: Path) -> None:
    with announced(replace(a_record(), process="earlier"), tmp_path):
        assert running_agents(tmp_path) == ()


def test_the_folder_of_another_user_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    folder.mkdir(mode=0)
    me, nobody = os.geteuid(), 65_534
    if me == 0:  # whom no permission holds back
        os.seteuid(nobody)
    try:
        with pytest.raises(ConfigurationError, match="the user who runs the agent"):
            running_agents(folder)
    finally:
        os.seteuid(me)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"store": 1}'])
def test_what_is_no_record_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "x-1.json").write_text(text)
    assert running_agents(tmp_path) == ()


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("redis://127.0.0.1:6379", True),
        ("redis://user@127.0.0.1:6379", True),
        ("redis://:pw@127.0.0.1:6379", False),
        ("postgresql://u:pw@h/db", False),
        ("postgresql://h/db?password=pw", False),
    ],
)
def test_a_store_url_with_a_password_never_reaches_the_disk(url: str, kept: bool) -> None:
    record = a_record(RETUNABLE_STORE=url, DAPR_HTTP_PORT="3501", APP_ID="demo")
    assert record.store.url == (url if kept else None)
    assert (record.sidecar, record.app_id) == ("http://127.0.0.1:3501", "demo")


def test_a_folder_that_cannot_be_written_does_not_stop_the_agent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with announced(a_record(), blocked / "agents"):
        pass
    assert "will not find this agent" in caplog.text
