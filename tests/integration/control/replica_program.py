"""One replica, as its environment says: REPLICA is JSON, and ``World.replica`` writes it."""

from __future__ import annotations

import asyncio
import json
import logging
import os

from retunable import ConfigSubscription, Constraints, DurableAgent, run_forever


def main() -> None:
    logging.basicConfig()
    logging.getLogger("retunable").setLevel(logging.INFO)
    told = json.loads(os.environ["REPLICA"])
    agent = DurableAgent(
        told["agent"],
        role="Research Assistant",
        provider="offline",
        model="offline",
        environment=told["environment"],
        configuration=ConfigSubscription(prefix=told["prefix"]),
        constraints=Constraints(max_iterations=told["limit"]),
        heartbeat_seconds=told["beat_seconds"],
    )
    asyncio.run(run_forever(agent))


if __name__ == "__main__":
    main()
