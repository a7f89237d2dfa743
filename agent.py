"""A research assistant that is retuned while it runs. Edit me.

    python agent.py

starts it on this machine alone, with an embedded sidecar. With Dapr's own:

    dapr run --app-id hot-reload-demo --resources-path ./resources -- python agent.py

Then, in another terminal: retune set agent_role "Expert Data Scientist"
"""

import asyncio
import logging
import os
from datetime import UTC, datetime

from retunable import ConfigSubscription, DurableAgent, run_forever, tool


@tool
def word_count(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


@tool
async def current_time() -> str:
    """Tell the date and time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


# Without a key the agent runs on the offline model, which shows what it was told.
has_key = bool(os.environ.get("OPENAI_API_KEY"))

agent = DurableAgent(
    name="config-aware-agent",
    role="Research Assistant",
    goal="Help people find and understand information",
    instructions=["Say what you know and what you guess", "Use a tool where one helps"],
    provider="openai" if has_key else "offline",
    model="gpt-4o-mini" if has_key else "offline",
    tools=[word_count, current_time],
    configuration=ConfigSubscription(store="runtime-config"),
    pin=os.environ.get("RETUNABLE_PIN", "turn"),
)

if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("retunable").setLevel(logging.INFO)
    asyncio.run(run_forever(agent, http=os.environ.get("RETUNABLE_HTTP", "127.0.0.1:8765")))
