"""Agents of one process on two event loops: whichever reads a piece of work, its own agent does it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from dev.stack import RedisStack, Stack
from retunable import DurableAgent
from retunable.testing import ModelServer, answer
from tests.integration.agent.conftest import MakeAgent

pytestmark = pytest.mark.redis

RUNS = 8
SECONDS = 60


@pytest.fixture(autouse=True)
def _environment(dapr: RedisStack, app_of: Callable[[Stack], None]) -> None:
    app_of(dapr)


class LoopInAThread:
    """A second event loop with one agent on it, from ``start`` to ``end``."""

    def __init__(self, agent: DurableAgent) -> None:
        self._agent = agent
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._life()), daemon=True)

    async def start(self) -> None:
        self._thread.start()
        await asyncio.wait_for(asyncio.wrap_future(self._ready), SECONDS)

    async def ask(self, message: str) -> str:
        done = asyncio.run_coroutine_threadsafe(self._agent.run(message), self._ready.result())
        return (await asyncio.wait_for(asyncio.wrap_future(done), SECONDS)).text

    async def end(self) -> None:
        self._ready.result().call_soon_threadsafe(self._ended.set)
        await asyncio.to_thread(self._thread.join, SECONDS)
        assert not self._thread.is_alive()

    async def _life(self) -> None:
        async with self._agent:
            self._ready.set_result(asyncio.get_running_loop())
            await self._ended.wait()


async def test_each_agent_answers_its_own_runs_and_goes_on_when_the_other_is_gone(
    make_agent: MakeAgent, model: ModelServer
) -> None:
    model.answer_always(lambda request: answer(request.system_prompt))
    other = LoopInAThread(make_agent(system_prompt="I am there", configuration=None))
    async with make_agent(system_prompt="I am here", configuration=None) as agent:
        await other.start()
        here = [agent.run(str(number)) for number in range(RUNS)]
        there = [other.ask(str(number)) for number in range(RUNS)]
        answers = await asyncio.gather(*here, *there)
        said = [getattr(one, "text", one) for one in answers]
        assert said == ["I am here"] * RUNS + ["I am there"] * RUNS
        await other.end()
        assert (await agent.run("still?")).text == "I am here"
