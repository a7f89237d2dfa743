"""The agent is retuned while it runs, on an embedded sidecar of its own: no Dapr, no network."""

import asyncio
from pathlib import Path

import pytest

from agent import agent
from retunable import Snapshot
from retunable.testing import EmbeddedSidecar

ROLE = "Expert Data Scientist"
WITHIN_SECONDS = 30


async def answer_after_retuning(sidecar: EmbeddedSidecar) -> str:
    """Start the agent, give it a role while it runs, and ask it who it is."""
    taken = asyncio.Event()

    async def changed(_: Snapshot | None, new: Snapshot) -> None:
        if new.config.role == ROLE:
            taken.set()

    agent.on_change(changed)
    async with asyncio.timeout(WITHIN_SECONDS), agent:
        sidecar.set("agent_role", ROLE)
        await taken.wait()
        return (await agent.run("Who are you?")).text


def test_the_next_answer_comes_from_the_role_that_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # what the agent remembers stays out of the project
    with EmbeddedSidecar(tmp_path) as sidecar:
        assert ROLE in asyncio.run(answer_after_retuning(sidecar))
