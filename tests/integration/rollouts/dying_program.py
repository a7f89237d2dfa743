"""An agent whose canary takes the whole process with it: kill -9 in the middle of its runs.

Started again once the canary is gone, it goes on with the same runs and ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from retunable import (
    ConfigSubscription,
    DurableAgent,
    ModelReply,
    ModelRequest,
    OfflineProvider,
    Secret,
)
from retunable.release.publishing.site import Site

DYING = Site(agent="dying-bot", environment="production", prefix="dying/")
USERS = 70
"""Half of them are on the canary, by chance; fifteen who are bad prove that it is worse. One split in
5 million leaves fewer."""
POLL_SECONDS = 0.02


class Deadly(OfflineProvider):
    """Answers as stable; as the canary it never does."""

    def __init__(self) -> None:
        self.waiting = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        if "Second" in request.system_prompt:
            self.waiting += 1
            await asyncio.Event().wait()
        return await super().complete(request)


async def until(so: Callable[[], bool]) -> None:
    while not so():  # noqa: ASYNC110 - nobody else is told when
        await asyncio.sleep(POLL_SECONDS)


async def main() -> None:
    model = Deadly()
    agent = DurableAgent(
        DYING.agent,
        environment=DYING.environment,
        provider="deadly",
        model="offline",
        providers={"deadly": model},
        configuration=ConfigSubscription(prefix=DYING.prefix, last_good_dir=None),
        user_key=Secret("secretstore/user-key"),
        persona_log_seconds=None,
    )
    async with agent:
        runs = [
            asyncio.create_task(agent.run("Hello.", user_id=f"user-{n}", run_id=f"run-{n}"))
            for n in range(USERS)
        ]
        await until(lambda: sum(run.done() for run in runs) + model.waiting == USERS)
        await until(lambda: not agent.status.events_waiting)
        if model.waiting:
            os.kill(os.getpid(), signal.SIGKILL)
        print(sorted({run.result().version or 0 for run in runs}))


if __name__ == "__main__":
    asyncio.run(main())
