"""What an OpenAI-compatible server's failures become, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from email.utils import formatdate

import pytest

from retunable import ModelRequest, OpenAIProvider, ProviderFailed, ProviderRefused
from retunable.agent.models.provider_set import ProviderSet
from retunable.agent.retry import RetryPolicy
from retunable.testing import ModelServer
from retunable.testing.model_server import answer, refusal

REQUEST = ModelRequest(model="small", system_prompt="", messages=())
QUICK = RetryPolicy(first_seconds=0.01, last_seconds=0.01, max_tries=3)


def provider(url: str, *, timeout_seconds: float = 10.0) -> OpenAIProvider:
    return OpenAIProvider(base_url=url, api_key=None, timeout_seconds=timeout_seconds)


@contextlib.asynccontextmanager
async def raw_server(*pieces: str, apart_seconds: float = 0.0) -> AsyncIterator[str]:
    """A server that sends the same bytes to whoever asks, piece by piece."""

    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece.encode())
                await writer.drain()
                await asyncio.sleep(apart_seconds)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def busy(*headers: str) -> str:
    lines = ("HTTP/1.1 429 Busy", "Content-Length: 2", "Connection: close", *headers)
    return "\r\n".join((*lines, "", "{}"))


async def failure(url: str, *, timeout_seconds: float = 10.0) -> ProviderFailed:
    calling = provider(url, timeout_seconds=timeout_seconds)
    await calling.open()
    try:
        with pytest.raises(ProviderFailed) as raised:
            await calling.complete(REQUEST)
    finally:
        await calling.close()
    return raised.value


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_statuses_that_pass_are_transient(model: ModelServer, status: int) -> None:
    model.answer_always(refusal(status))
    assert asyncio.run(failure(model.url)).transient


async def test_the_client_itself_makes_no_second_try(model: ModelServer) -> None:
    model.answer_always(refusal(500))
    await failure(model.url)
    assert len(model.requests) == 1


async def test_a_server_that_is_away_is_transient() -> None:
    async with raw_server() as url:
        pass
    assert (await failure(url)).transient


async def test_a_connection_that_breaks_is_transient() -> None:
    async with raw_server("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{") as url:
        assert (await failure(url)).transient


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["Retry-After: 7"], 7),
        (["Retry-After: 7", "retry-after-ms: 250"], 0.25),
        ([f"Retry-After: {formatdate(1000, usegmt=True)}", f"Date: {formatdate(988)}"], 12),
        (["Retry-After: later"], None),
        ([], None),
    ],
)
async def test_when_a_server_wants_to_be_asked_again_is_read(
    headers: list[str], seconds: float | None
) -> None:
    async with raw_server(busy(*headers)) as url:
        assert (await failure(url)).retry_after_seconds == seconds


async def test_a_server_that_wants_no_other_try_gets_none() -> None:
    async with raw_server(busy("x-should-retry: false")) as url:
        assert not (await failure(url)).transient


async def test_a_server_that_sends_a_byte_now_and_then_is_given_up() -> None:
    head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    async with raw_server(head, *["{"] * 1000, apart_seconds=0.05) as url:
        failed = await asyncio.wait_for(failure(url, timeout_seconds=0.4), 10)
    assert str(failed) == "no complete answer within 0.4 s"


async def test_a_used_up_quota_is_a_matter_of_the_key(model: ModelServer) -> None:
    model.answer_always(refusal(429, code="insufficient_quota"))
    calling = provider(model.url)
    with pytest.raises(ProviderRefused) as raised:
        await calling.complete(REQUEST)
    await calling.close()
    assert raised.value.setting == "key"


async def test_the_providers_of_an_agent_are_asked_again(model: ModelServer) -> None:
    model.script(refusal(429), refusal(500), answer("at last"))
    providers = ProviderSet({"openai": provider(model.url)}, on_refusal=lambda: None, retries=QUICK)
    reply = await providers.complete("openai", REQUEST)
    await providers.close()
    assert (reply.text, len(model.requests)) == ("at last", 3)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_a_refused_setting_is_asked_once(model: ModelServer, status: int) -> None:
    model.answer_always(refusal(status))
    providers = ProviderSet({"openai": provider(model.url)}, on_refusal=lambda: None, retries=QUICK)
    with pytest.raises(ProviderRefused):
        await providers.complete("openai", REQUEST)
    await providers.close()
    assert len(model.requests) == 1
