"""The floor: a process on the bare SDK that holds a worker, the packages and one subscription.

`run N` has the model called N times with a tool call between, each an activity; nothing is
checked, stored, validated or watched.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Generator
from functools import cache
from typing import Any

import dapr.ext.workflow as wf
import grpc.aio
import openai
import pydantic  # noqa: F401 - a part of what any such program imports
from dapr.proto import api_service_v1, api_v1

from bench.subjects import pipe

STORE = "runtime-config"
KEY = "floor"
TOOL = {
    "type": "function",
    "function": {
        "name": "word_count",
        "parameters": {"type": "object", "properties": {"text": {"type": "string"}}},
    },
}


@cache
def model() -> openai.OpenAI:
    return openai.OpenAI()


def conversation(ctx: wf.DaprWorkflowContext, message: str) -> Generator[Any, Any, str]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": message}]
    while True:
        reply = yield ctx.call_activity(call_model, input=messages)
        messages.append(reply)
        if not reply.get("tool_calls"):
            return str(reply["content"])
        for call in reply["tool_calls"]:
            result = yield ctx.call_activity(call_tool, input=call)
            messages.append(result)


def call_model(_: wf.WorkflowActivityContext, messages: list[Any]) -> dict[str, Any]:
    completion = model().chat.completions.create(
        model="test-model",
        messages=messages,
        tools=[TOOL],  # type: ignore[list-item]
    )
    return completion.choices[0].message.model_dump(exclude_none=True)


def call_tool(_: wf.WorkflowActivityContext, call: dict[str, Any]) -> dict[str, Any]:
    words = len(json.loads(call["function"]["arguments"])["text"].split())
    return {"role": "tool", "tool_call_id": call["id"], "content": str(words)}


async def main() -> None:
    runtime: Any = wf.WorkflowRuntime()  # methods without types
    runtime.register_workflow(conversation)
    runtime.register_activity(call_model)
    runtime.register_activity(call_tool)
    runtime.start()
    subscription = await subscribe()
    pipe.tell(at=pipe.now(), resident=pipe.resident_bytes())
    await obey()
    subscription.cancel()
    runtime.shutdown()


async def subscribe() -> Any:
    """Read the key, subscribe to it and return once the subscription has its id."""
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{os.environ['DAPR_GRPC_PORT']}")
    stub: Any = api_service_v1.DaprStub  # generated, without types
    sidecar = stub(channel)
    request = api_v1.GetConfigurationRequest(store_name=STORE, keys=[KEY])
    await sidecar.GetConfiguration(request, timeout=5)
    call = sidecar.SubscribeConfiguration(
        api_v1.SubscribeConfigurationRequest(store_name=STORE, keys=[KEY])
    )
    await call.read()
    return call


async def obey() -> None:
    # Imported once subscribed: who only holds a worker does without the client.
    from dapr.ext.workflow.aio import DaprWorkflowClient

    client = DaprWorkflowClient()
    while order := await asyncio.to_thread(pipe.next_order):
        began = pipe.now()
        run = await client.schedule_new_workflow(conversation, input=f"{order.split()[1]} steps")
        state = await client.wait_for_workflow_completion(run, timeout_in_seconds=30)
        pipe.tell(
            at=pipe.now(),
            seconds=pipe.now() - began,
            answer=state and json.loads(state.serialized_output or "null"),
            resident=pipe.resident_bytes(),
        )


if __name__ == "__main__":
    asyncio.run(main())
