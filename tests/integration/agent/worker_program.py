"""An agent in a process of its own, for tests that kill it: ends its runs, or is ended by SIGTERM.

It is told what to do by the environment: MODEL_URL, RUNS (ids, separated by spaces), LEDGER (a
file in which each tool call that really runs is noted).
"""

import asyncio
import json
import os
import signal
from pathlib import Path

from retunable import DurableAgent, OpenAIProvider, Unavailable, tool
from retunable.agent.tools.arguments import CallId

LEDGER = Path(os.environ["LEDGER"])


@tool
async def work(seconds: float, call: CallId) -> str:
    """Take some time."""
    _note(call)
    await asyncio.sleep(seconds)
    return "worked"


def _note(call: str) -> None:
    with LEDGER.open("a") as ledger:
        ledger.write(f"{call}\n")


agent = DurableAgent(
    "killed now and then",
    role="R",
    model="m",
    max_iterations=100,
    tools=[work],
    providers={"openai": OpenAIProvider(base_url=os.environ["MODEL_URL"])},
    persona_log_seconds=None,
)


async def answers() -> None:
    async with agent:
        ids = os.environ["RUNS"].split()
        results = await asyncio.gather(*(_answer(run_id) for run_id in ids))
        print("ANSWERS " + json.dumps(dict(zip(ids, results, strict=True))), flush=True)


async def _answer(run_id: str) -> dict[str, object]:
    while True:
        try:
            result = await agent.run(run_id, run_id=run_id)
        except Unavailable:
            await asyncio.sleep(0.2)
        else:
            return {"text": result.text, "steps": [step.step for step in result.steps]}


async def main() -> None:
    task = asyncio.create_task(answers())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled() and (error := task.exception()):
        raise error


if __name__ == "__main__":
    asyncio.run(main())
