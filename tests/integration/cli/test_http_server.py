"""The HTTP server on a real socket: its address, its record, its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from retunable.cli.agent_client import AgentClient
from retunable.errors import ConfigurationError
from retunable.serve.address import running_agents
from retunable.serve.http import DRAIN_SECONDS, serve_http
from tests.unit.serve.standin import StandInAgent


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RETUNABLE_HTTP_TOKEN", raising=False)


async def test_port_0_takes_a_free_port_and_the_record_names_it(tmp_path: Path) -> None:
    async with serve_http(
        StandInAgent(), "127.0.0.1:0", component="runtime-config", agents_folder=tmp_path
    ) as url:
        (record,) = running_agents(tmp_path)
        assert (record.url, record.pid, record.store.component) == (
            url,
            os.getpid(),
            "runtime-config",
        )
        async with httpx2.AsyncClient(base_url=url) as client:
            assert (await client.get("/healthz")).status_code == 200
    assert running_agents(tmp_path) == ()


async def test_a_port_in_use_is_told_with_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=f"{address}.*port 0"):
            await serve_http(StandInAgent(), address, agents_folder=tmp_path).__aenter__()
    assert running_agents(tmp_path) == ()


async def test_the_port_is_free_again_after_the_end(tmp_path: Path) -> None:
    async with (
        serve_http(StandInAgent(), "127.0.0.1:0", agents_folder=tmp_path) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        await client.get("/healthz")
    address = url.removeprefix("http://")
    async with serve_http(StandInAgent(), address, agents_folder=tmp_path) as again:
        assert again == url


async def test_signals_are_left_to_the_agent(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with serve_http(StandInAgent(), "127.0.0.1:0", agents_folder=tmp_path):
        during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert during == before


async def test_a_run_in_flight_does_not_hold_up_the_end(tmp_path: Path) -> None:
    class Slow(StandInAgent):
        async def run(self, *_words: Any, **_more: Any) -> Any:
            started.set()
            await asyncio.Event().wait()

    started = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(
            serve_http(Slow(), "127.0.0.1:0", agents_folder=tmp_path)
        )
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=url))
        asking = asyncio.create_task(client.post("/agent/runs", json={"message": "m"}))
        await started.wait()
        ends_at = time.monotonic() + DRAIN_SECONDS + 2
        stack.callback(asking.cancel)
    assert time.monotonic() < ends_at
    await asyncio.gather(asking, return_exceptions=True)


async def test_the_command_line_sends_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETUNABLE_HTTP_TOKEN", "s3cret")
    async with serve_http(StandInAgent(), "127.0.0.1:0", agents_folder=tmp_path) as url:
        report = await asyncio.to_thread(AgentClient(url).report)
        assert report["agent"] == "config-aware-agent"
        assert "s3cret" not in repr(running_agents(tmp_path))


async def test_every_address_is_served_only_with_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere = "0.0.0.0:0"
    with pytest.raises(ConfigurationError, match="RETUNABLE_HTTP_TOKEN"):
        await serve_http(StandInAgent(), everywhere, agents_folder=tmp_path).__aenter__()


async def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_headers(
    tmp_path: Path,
) -> None:
    async with (
        serve_http(StandInAgent(), "127.0.0.1:0", agents_folder=tmp_path) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        taken = []
        for _ in range(20):
            begun = time.monotonic()
            await client.post("/agent/runs", json={"message": "m"})
            taken.append(time.monotonic() - begun)
    # A delayed acknowledgement is 40 ms on Linux; an answer of the stand-in takes 3.
    assert sorted(taken)[10] < 0.03
