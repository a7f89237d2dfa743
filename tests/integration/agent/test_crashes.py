"""Runs whose agent or sidecar is killed: each completes, and nothing recorded is done again."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.processes import ChildProcess, Launch, wait_until
from dev.resources import CHECKOUT
from dev.stack import RedisStack, Stack
from retunable.testing import ModelServer, RecordedRequest, Reply, answer, tool_calls
from tests.integration.agent.conftest import MakeAgent

pytestmark = pytest.mark.redis

KILLED_RUNS = int(os.environ.get("RETUNABLE_KILLED_RUNS", "12"))
KILLS = int(os.environ.get("RETUNABLE_KILLS", "6"))


class Program:
    """The agent of ``worker_program`` in a process that can be killed and started again."""

    def __init__(self, directory: Path, stack: Stack, model: ModelServer) -> None:
        self.ledger = directory / "ledger"
        self.ledger.touch()
        self._directory = directory
        self._environment = {
            **os.environ,
            **stack.environment,
            "OPENAI_API_KEY": "sk-of-the-test",
            "MODEL_URL": model.url,
            "LEDGER": str(self.ledger),
            "PYTHONPATH": str(CHECKOUT),
        }
        self._starts = 0
        self.process: ChildProcess | None = None

    def start(self, *runs: str) -> None:
        self._starts += 1
        self.process = ChildProcess(
            Launch(
                name="worker_program",
                command=[sys.executable, "-m", "tests.integration.agent.worker_program"],
                log=self._directory / f"program-{self._starts}.log",
                environment=self._environment | {"RUNS": " ".join(runs)},
                working_directory=CHECKOUT,
            )
        )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def send(self, number: signal.Signals) -> int | None:
        assert self.process is not None
        self.process.send(number)
        return self.process.wait(within_seconds=10)

    def answers(self, *, within_seconds: float = 30) -> dict[str, Any]:
        wait_until(self._answered, what="ANSWERS", within_seconds=within_seconds)
        line = next(line for line in self._log().splitlines() if line.startswith("ANSWERS "))
        answers: dict[str, Any] = json.loads(line.removeprefix("ANSWERS "))
        return answers

    def _answered(self) -> bool:
        return "ANSWERS " in self._log()

    def _log(self) -> str:
        assert self.process is not None
        return self.process.last_words(lines=500)

    def tool_calls(self) -> Counter[str]:
        return Counter(self.ledger.read_text().split())


@pytest.fixture
def program(redis_stack: RedisStack, model: ModelServer, tmp_path: Path) -> Iterator[Program]:
    running = Program(tmp_path, redis_stack, model)
    yield running
    running.kill()


async def test_a_daprd_killed_during_a_model_call_costs_no_second_request(
    redis_stack: RedisStack,
    app_of: Callable[[Stack], None],
    make_agent: MakeAgent,
    model: ModelServer,
) -> None:
    app_of(redis_stack)
    hold = threading.Event()
    model.script(answer("first", hold=hold))
    async with make_agent() as agent:
        run = asyncio.create_task(agent.run("?"))
        await asyncio.to_thread(model.wait_for_requests, 1)
        redis_stack.sidecar.kill()
        hold.set()
        await asyncio.to_thread(redis_stack.sidecar.start)
        result = await asyncio.wait_for(run, 40)
        assert (await agent.run("?", run_id=result.run_id)).text == "first"
    assert len(model.requests) == 1


def test_an_agent_killed_in_a_model_call_asks_at_most_twice(
    program: Program, model: ModelServer
) -> None:
    model.script(answer("lost", hold=threading.Event()), answer("kept"))
    program.start("run")
    model.wait_for_requests(1)
    program.kill()
    program.start("run")
    assert program.answers()["run"] == {"text": "kept", "steps": [1]}
    assert len(model.requests) == 2


def test_an_agent_killed_in_a_tool_calls_it_again_by_the_same_id_and_no_model(
    program: Program, model: ModelServer
) -> None:
    model.script(tool_calls(("work", {"seconds": 2})), answer("done"))
    program.start("run")
    wait_until(lambda: bool(program.tool_calls()), what="the tool", within_seconds=20)
    program.kill()
    program.start("run")
    assert program.answers()["run"]["text"] == "done"
    assert program.tool_calls() == {"run.1.0": 2}
    assert len(model.requests) == 2


def test_an_agent_killed_between_steps_and_across_histories_repeats_nothing_recorded(
    program: Program, model: ModelServer
) -> None:
    model.answer_always(asking(24))
    program.start("run")
    for requests in (4, 10, 11, 20):
        model.wait_for_requests(requests)
        program.kill()
        program.start("run")
    assert program.answers()["run"] == {"text": "done 24", "steps": list(range(1, 26))}
    assert len(model.requests) <= 25 + 4
    assert max(program.tool_calls().values()) <= 2


def test_sigterm_in_a_long_tool_ends_in_seconds_and_the_run_goes_on_later(
    program: Program, model: ModelServer
) -> None:
    model.script(tool_calls(("work", {"seconds": 30})), answer("done"))
    program.start("run")
    wait_until(lambda: bool(program.tool_calls()), what="the tool", within_seconds=20)
    began = time.monotonic()
    assert program.send(signal.SIGTERM) == 0
    assert time.monotonic() - began < 6
    program.start("run")
    wait_until(lambda: program.tool_calls() == {"run.1.0": 2}, what="it again", within_seconds=20)


def test_runs_survive_an_agent_and_a_daprd_killed_at_random(
    program: Program, redis_stack: RedisStack, model: ModelServer
) -> None:
    chance = random.Random(20)
    model.answer_always(asking(3))
    runs = [f"run-{number}" for number in range(KILLED_RUNS)]
    program.start(*runs)
    model.wait_for_requests(1, within_seconds=20)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.2, 1.0))  # chance itself: nothing is awaited
        if chance.random() < 0.5:
            redis_stack.sidecar.kill()
            redis_stack.sidecar.start()
        else:
            program.kill()
            program.start(*runs)
    answers = program.answers(within_seconds=120)
    assert answers == {run: {"text": "done 3", "steps": [1, 2, 3, 4]} for run in runs}


def asking(tools: int) -> Callable[[RecordedRequest], Reply]:
    """Ask for a tool until so many results are there."""

    def reply(request: RecordedRequest) -> Reply:
        done = sum(message["role"] == "tool" for message in request.messages)
        if done < tools:
            return tool_calls(("work", {"seconds": 0.02}))
        return answer(f"done {done}")

    return reply
