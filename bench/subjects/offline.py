"""An agent whose model answers at once inside the process: what is left is the loop and the sidecar.

It tells when its configuration is live. `run STEPS` asks for one turn in which the model is called
so often, with a tool call between; `many RUNS` for so many turns of one call at once.
"""

from __future__ import annotations

import asyncio

from bench.subjects import pipe
from retunable import (
    AgentStatus,
    ConfigSubscription,
    DurableAgent,
    ModelReply,
    ModelRequest,
    OfflineProvider,
    Status,
    StreamState,
    ToolCall,
    tool,
)


class Steps(OfflineProvider):
    """Asks for a tool until the number of calls that the user named is reached."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        wanted = next(int(one.text) for one in request.messages if one.role == "user")
        done = sum(one.role == "tool" for one in request.messages)
        if done + 1 < wanted:
            return ModelReply(text="", calls=(ToolCall(f"c{done}", "look", "{}"),))
        return ModelReply(text="answer", input_tokens=5, output_tokens=5)


@tool
async def look() -> str:
    """Look."""
    return "result"


agent = DurableAgent(
    name="Offline",
    role="Research Assistant",
    model="m",
    provider="steps",
    providers={"steps": Steps()},
    tools=[look],
    max_iterations=100,
    persona_log_seconds=None,
    configuration=ConfigSubscription(store="runtime-config"),
)


async def obey(order: str) -> None:
    """Have the agent do what an order says."""
    what, number = order.split()
    if what == "run":
        await agent.run(number)
    else:
        await asyncio.gather(*(agent.run("1") for _ in range(int(number))))


async def main() -> None:
    live = asyncio.Event()

    async def watch(_: AgentStatus | None, new: AgentStatus) -> None:
        if (new.state, new.stream) == (Status.READY, StreamState.LIVE):
            live.set()

    agent.on_status(watch)
    async with agent:
        await live.wait()
        pipe.tell(at=pipe.now())
        while order := await asyncio.to_thread(pipe.next_order):
            began = pipe.now()
            await obey(order)
            pipe.tell(seconds=pipe.now() - began)


if __name__ == "__main__":
    asyncio.run(main())
