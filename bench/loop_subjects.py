"""The subjects of the durable loop's benchmarks: the bare SDK, the same with its results kept, ours.

Each is a coroutine function ``run(steps, conversation)``: so many model calls that answer at once,
with a tool call between each two.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retunable import DurableAgent

Run = Callable[..., Awaitable[None]]

RESULT_BYTES = 600
"""What a result of ours takes in the state store, model and tool calls in the mean."""


@asynccontextmanager
async def floor(*, keeping: bool = False) -> AsyncIterator[Run]:
    """Run a workflow of the SDK's own, one activity for each call, nothing stored.

    With ``keeping`` each activity does the least that "a recorded step is never done twice" takes:
    it reads whether its result stands, and inserts it before it answers.
    """
    from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext, WorkflowRuntime
    from dapr.ext.workflow.aio import DaprWorkflowClient

    runtime = WorkflowRuntime()
    keep = await _keeper() if keeping else _keep_nothing

    @runtime.workflow(name="floor")
    def body(ctx: DaprWorkflowContext, steps: int) -> Any:
        for step in range(steps):
            yield ctx.call_activity(model, input={"step": step})
            if step + 1 < steps:
                yield ctx.call_activity(tool, input={"step": step})
        return "done"

    @runtime.activity(name="model")
    async def model(ctx: WorkflowActivityContext, data: dict) -> dict:
        await keep(f"{ctx.workflow_id}/{data['step']}")
        return {"text": "answer"}

    @runtime.activity(name="tool")
    async def tool(ctx: WorkflowActivityContext, data: dict) -> dict:
        await keep(f"{ctx.workflow_id}/{data['step']}/0")
        return {"text": "result"}

    runtime.start()
    client = DaprWorkflowClient()

    async def run(steps: int, conversation: str | None = None) -> None:
        del conversation  # a bare workflow knows none
        instance = await client.schedule_new_workflow(body, input=steps)
        await client.wait_for_workflow_completion(instance)

    try:
        yield run
    finally:
        runtime.shutdown()


async def _keep_nothing(key: str) -> None:
    del key


async def _keeper() -> Callable[[str], Awaitable[None]]:
    """Return what reads a key and inserts it, on a channel of the loop that calls it first."""
    import grpc
    from dapr.proto.common.v1 import common_pb2
    from dapr.proto.runtime.v1 import dapr_pb2_grpc, metadata_pb2, state_pb2

    first_write = common_pb2.StateOptions(
        concurrency=common_pb2.StateOptions.CONCURRENCY_FIRST_WRITE
    )
    dapr: Any = None
    store = ""

    async def keep(key: str) -> None:
        nonlocal dapr, store
        if dapr is None:
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{os.environ['DAPR_GRPC_PORT']}")
            dapr = dapr_pb2_grpc.DaprStub(channel)
            said = await dapr.GetMetadata(metadata_pb2.GetMetadataRequest())
            store = next(c.name for c in said.registered_components if "ACTOR" in c.capabilities)
        await dapr.GetState(state_pb2.GetStateRequest(store_name=store, key=key), timeout=2)
        item = common_pb2.StateItem(key=key, value=b"x" * RESULT_BYTES, options=first_write)
        request = state_pb2.SaveStateRequest(store_name=store, states=[item])
        await dapr.SaveState(request, timeout=2)

    return keep


@asynccontextmanager
async def ours() -> AsyncIterator[DurableAgent]:
    """Start an agent whose model asks for a tool until a message's number of steps is reached."""
    from retunable import DurableAgent, ModelReply, ModelRequest, OfflineProvider, ToolCall

    class Steps(OfflineProvider):
        async def complete(self, request: ModelRequest) -> ModelReply:
            done = 0
            for message in request.messages:
                if message.role == "user":
                    wanted, done = int(message.text), 0
                done += message.role == "tool"
            if done + 1 < wanted:
                return ModelReply(text="", calls=(ToolCall(f"c{done}", "look", "{}"),))
            return ModelReply(text="answer", input_tokens=5, output_tokens=5)

    async def look() -> str:
        """Look."""
        return "result"

    agent = DurableAgent(
        "bench",
        role="Bench",
        model="m",
        provider="steps",
        providers={"steps": Steps()},
        tools=[look],
        max_iterations=1000,
        persona_log_seconds=None,
    )
    async with agent:
        yield agent


def run_of(agent: DurableAgent) -> Run:
    """Return an agent as a subject."""

    async def run(steps: int, conversation: str | None = None) -> None:
        await agent.run(str(steps), conversation_id=conversation)

    return run
