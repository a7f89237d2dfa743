"""Ours: an agent as a user writes it, without the HTTP face.

It tells when its first snapshot stands READY with a live stream. `run N` asks for a turn in which
the model is called N times, with a tool call between.
"""

from __future__ import annotations

import asyncio
import sys

from bench.subjects import pipe
from retunable import AgentStatus, ConfigSubscription, DurableAgent, Status, StreamState, tool


@tool
def word_count(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


agent = DurableAgent(
    name="Ours",
    role="Research Assistant",
    goal="Help people find and understand information",
    instructions=["Say what you know and what you guess", "Use a tool where one helps"],
    model="test-model",
    max_iterations=100,
    tools=[word_count],
    configuration=ConfigSubscription(store="runtime-config"),
)


async def main() -> None:
    subscribed = asyncio.Event()

    async def watch(_: AgentStatus | None, new: AgentStatus) -> None:
        if (new.state, new.stream) == (Status.READY, StreamState.LIVE) and not subscribed.is_set():
            subscribed.set()
            pipe.tell(at=pipe.now(), resident=pipe.resident_bytes())

    agent.on_status(watch)
    async with agent:
        await subscribed.wait()
        while order := await asyncio.to_thread(pipe.next_order):
            began = pipe.now()
            result = await agent.run(f"{order.split()[1]} steps", deadline=30)
            pipe.tell(
                at=pipe.now(),
                seconds=pipe.now() - began,
                answer=result.text,
                resident=pipe.resident_bytes(),
                packages=sorted({name.partition(".")[0] for name in sys.modules}),
            )


if __name__ == "__main__":
    asyncio.run(main())
