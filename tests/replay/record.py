"""Records golden histories from a real daprd: `python -m tests.replay.record NAME`, by hand.

A release records its own once and never again; what is here must replay for ever.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dev.stack import Stack

HISTORIES = Path(__file__).with_name("histories")
RUNS = {"one-call": 0, "tools": 3, "two-histories": 12}


def main(release: str) -> None:
    with tempfile.TemporaryDirectory() as folder, Stack.redis(Path(folder)) as stack:
        os.environ.update(stack.environment)
        asyncio.run(record(HISTORIES / release))


async def record(directory: Path) -> None:
    from retunable import DurableAgent, ModelReply, ModelRequest, OfflineProvider, ToolCall

    class Asking(OfflineProvider):
        """Asks for two tools at once, of which one is not there, until there are enough results."""

        async def complete(self, request: ModelRequest) -> ModelReply:
            wanted = int(request.messages[0].text)
            done = sum(message.role == "assistant" for message in request.messages)
            if done < wanted:
                calls = [ToolCall(f"c{n}", name, "{}") for n, name in enumerate(NAMES)]
                return ModelReply(text="", calls=tuple(calls))
            return ModelReply(text="answer")

    async def look() -> str:
        """Look."""
        return "seen"

    async def listen() -> str:
        """Listen."""
        return "heard"

    agent = DurableAgent(
        "golden",
        model="m",
        provider="asking",
        providers={"asking": Asking()},
        tools=[look, listen],
        max_iterations=50,
        persona_log_seconds=None,
    )
    async with agent:
        for name, steps in RUNS.items():
            await agent.run(str(steps), run_id=name)
            write(directory / f"{name}.json", await history(agent, name))


NAMES = ("look", "gone", "listen")


async def history(agent: Any, run_id: str) -> Iterable[Any]:
    """Return the events of a run's last history."""
    import dapr.ext.workflow._durabletask.internal.protos as pb

    from retunable.agent.loop.workflow_client import WorkflowClient
    from retunable.agent.sidecar_link import SidecarLink
    from retunable.agent.state.keys import StateKeys

    keys = StateKeys(agent.name, agent.declaration.environment)
    link = SidecarLink()
    try:
        client = WorkflowClient(link, keys)
        await client.wait(run_id, seconds=10)
        request = pb.GetInstanceHistoryRequest(instanceId=keys.workflow(run_id))
        reply = await client._service.GetInstanceHistory(request, timeout=5)
    finally:
        await link.close()
    events: Iterable[Any] = reply.events
    return events


def write(file: Path, events: Iterable[Any]) -> None:
    """Write a history down, without what names the sidecar that it came from."""
    from google.protobuf.json_format import MessageToDict

    for event in events:
        event.ClearField("router")
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([MessageToDict(event) for event in events], indent=1, sort_keys=True)
    file.write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
