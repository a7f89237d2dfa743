"""The program of the suite: an agent as a user writes it, that also writes down what befalls it.

Every snapshot and every change of status goes to ``OBSERVED`` in its folder, one JSON a line, and
every tool call that really runs to ``CALLS``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from retunable import (
    CallId,
    ConfigSubscription,
    DurableAgent,
    OpenAIProvider,
    RetryPolicy,
    Timings,
    run_forever,
    tool,
)
from tests.behaviour.agent_settings import AGENT, DEFAULTS, AgentSettings, Callbacks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from retunable import AgentStatus, Snapshot

OBSERVED = "observed.jsonl"
CALLS = Path("calls.jsonl")
ADDRESS_VARIABLE = "AGENT_UNDER_TEST_ADDRESS"
BLOCK_SECONDS = 5.0
FROM_CALLBACK = "a callback asks as"


@tool
def note(text: str) -> str:
    """Write something down."""
    return f"noted: {text}"


@tool
async def work(seconds: float, call: CallId) -> str:
    """Take some time; called again by the same id it takes none."""
    if not _note_call(call):
        await asyncio.sleep(seconds)
    return "worked"


@tool
def block(seconds: float, call: CallId) -> str:
    """Take some time, in a thread that cannot be interrupted; called again it takes none."""
    if not _note_call(call):
        time.sleep(seconds)
    return "blocked"


def _note_call(call: str) -> bool:
    """Write a call down; tell whether it was made before."""
    with CALLS.open("a+") as calls:
        calls.seek(0)
        made_before = f'"{call}"' in calls.read()
        calls.write(json.dumps({"call": call, "at": time.time()}) + "\n")
    return made_before


TOOLS: Mapping[str, Callable[..., Any]] = {"note": note, "work": work, "block": block}


def build_agent(settings: AgentSettings) -> DurableAgent:
    """Wire the agent; nothing runs yet."""
    return DurableAgent(
        name=AGENT,
        **{**DEFAULTS, "max_iterations": settings.max_iterations},
        tools=[TOOLS[name] for name in settings.tools],
        pin=settings.pin,
        providers={"openai": OpenAIProvider(timeout_seconds=settings.model_timeout_seconds)},
        model_retries=RetryPolicy(max_tries=settings.model_tries),
        configuration=ConfigSubscription(
            store="runtime-config",
            last_good_dir=".retunable/last-good" if settings.last_good else None,
            timings=Timings(**settings.timings),
        ),
    )


class Observer:
    """Writes a line for each change, as soon as its callback runs."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", buffering=1)

    async def changed(self, old: Snapshot | None, new: Snapshot) -> None:
        """Record the new snapshot; on the event loop, for a thread would miss some."""
        config = {"role": new.config.role, "goal": new.config.goal}
        previous = None if old is None else old.revision
        self._write(kind="snapshot", revision=new.revision, previous=previous, **config)

    async def status_changed(self, _: AgentStatus | None, new: AgentStatus) -> None:
        """Record the new status."""
        reason = None if new.reason is None else new.reason.value
        self._write(kind="status", state=new.state.name, reason=reason)

    def _write(self, **facts: object) -> None:
        self._file.write(json.dumps(facts) + "\n")


def misbehave(agent: DurableAgent, kind: Callbacks) -> None:
    """Give the agent a callback that does what a callback should not."""
    match kind:
        case "none":
            return
        case "raise":
            agent.on_change(_raise)
            agent.on_status(_raise)
        case "block":
            agent.on_change(_block)
            agent.on_status(_block)
        case "call back":
            agent.on_change(partial(_call_back, agent))
        case _:
            assert_never(kind)


def _raise(old: object, new: object) -> None:
    raise RuntimeError("a callback of the user's")


def _block(old: object, new: object) -> None:
    time.sleep(BLOCK_SECONDS)


async def _call_back(agent: DurableAgent, old: Snapshot | None, new: Snapshot) -> None:
    agent.on_change(_raise)()  # added, and taken away again
    assert agent.snapshot.revision >= new.revision
    if old is not None:
        await agent.run(f"{FROM_CALLBACK} {new.config.role}")


async def main() -> None:
    """Run until SIGTERM."""
    settings = AgentSettings.from_environment()
    agent = build_agent(settings)
    observer = Observer(Path(OBSERVED))
    misbehave(agent, settings.callbacks)
    agent.on_change(observer.changed)
    agent.on_status(observer.status_changed)
    await run_forever(agent, http=os.environ[ADDRESS_VARIABLE])


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    asyncio.run(main())
