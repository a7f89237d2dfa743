"""The embedded sidecar that the agents of one process share where nothing names another one."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from retunable import ConfigSubscription, DurableAgent
from retunable.agent.own_sidecar import User, a_sidecar, own_sidecar
from retunable.errors import Unavailable
from retunable.sidecar.environment import NAMING
from retunable.sidecar.files import DataFiles
from retunable.sidecar.lock import AppLock

pytestmark = pytest.mark.embedded


@pytest.fixture(autouse=True)
def nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMING, "APP_ID", "DAPR_APP_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def agent(name: str) -> DurableAgent:
    return DurableAgent(
        name,
        role=f"Role of {name}",
        provider="offline",
        model="offline",
        configuration=ConfigSubscription(prefix=f"{name}/", last_good_dir=None),
        persona_log_seconds=None,
    )


def sidecars() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "retunable.sidecar" in one.cmdline()]


async def test_two_agents_of_one_process_share_it_until_the_last_one_stops() -> None:
    one, two = agent("one"), agent("two")
    async with one:
        async with two:
            answers = await asyncio.gather(one.run("Who are you?"), two.run("Who are you?"))
            assert ["Role of one" in answers[0].text, "Role of two" in answers[1].text] == [
                True
            ] * 2
            assert len(sidecars()) == 1
        assert len(sidecars()) == 1
        assert one.status.embedded_restarts == 0
    assert sidecars() == []


COMPONENT = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: {name}}}
spec: {{type: {type}, version: v1}}
"""


async def test_one_line_says_which_components_it_leaves_to_dapr(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder := tmp_path / "resources").mkdir()
    for name, kind in (("statestore", "state.redis"), ("nightly", "bindings.cron")):
        (folder / f"{name}.yaml").write_text(COMPONENT.format(name=name, type=kind))
    caplog.set_level("INFO", logger="retunable")
    async with a_sidecar(app_id="demo"):
        (said,) = (line for line in caplog.messages if "left to Dapr" in line)
    assert "statestore (state.redis); left to Dapr: nightly (bindings.cron)" in said


async def test_the_process_is_told_as_by_dapr_run_and_forgets_it_afterwards() -> None:
    async with a_sidecar(app_id="demo"):
        assert os.environ["APP_ID"] == "demo"
        assert os.environ["RETUNABLE_STORE"].endswith("/.retunable/configuration.db")
    assert not {*NAMING, "APP_ID", "RETUNABLE_STORE"} & os.environ.keys()


async def test_the_app_id_of_the_environment_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAPR_APP_ID", "named")
    async with a_sidecar(app_id="demo"):
        assert own_sidecar.kept is not None
        assert own_sidecar.kept.settings.app_id == "named"


@pytest.mark.parametrize("name", NAMING)
async def test_none_is_started_where_the_environment_names_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    async with a_sidecar(app_id="demo"):
        assert own_sidecar.kept is None
        assert sidecars() == []


async def test_a_start_that_is_given_up_leaves_none_behind() -> None:
    starting = asyncio.create_task(a_sidecar(app_id="demo").__aenter__())
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    async with asyncio.timeout(20), a_sidecar(app_id="demo"):
        assert len(sidecars()) == 1
    assert sidecars() == []


def test_whoever_left_before_joining_keeps_nothing_running() -> None:
    user = User()
    own_sidecar.leave(user)
    own_sidecar.join(user, app_id="demo")
    assert own_sidecar.kept is None


async def test_an_agent_whose_sidecar_does_not_come_up_is_not_started(tmp_path: Path) -> None:
    lock = AppLock.take(DataFiles(tmp_path / ".retunable", "one"))
    refused = agent("one")
    with pytest.raises(Unavailable, match=f"runs already .*pid {os.getpid()}"):
        await refused.start()
    lock.release()
    async with refused:
        assert len(sidecars()) == 1
