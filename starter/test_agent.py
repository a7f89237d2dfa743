"""The agent is retuned while it runs, on an embedded sidecar of its own: no Dapr, no network."""

import asyncio
from pathlib import Path

from agent import agent
from retunable.testing import EmbeddedSidecar

ROLE = "Expert Data Scientist"
WITHIN_SECONDS = 30


def test_the_next_answer_comes_from_the_role_that_was_set(tmp_path: Path) -> None:
    async def retuned_answer() -> str:
        async with asyncio.timeout(WITHIN_SECONDS), agent:
            sidecar.set("agent_role", ROLE)
            while agent.snapshot.config.role != ROLE:
                await asyncio.sleep(0.01)
            return (await agent.run("Who are you?")).text

    with EmbeddedSidecar(tmp_path) as sidecar:
        assert ROLE in asyncio.run(retuned_answer())
