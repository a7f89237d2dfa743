"""Models behind an OpenAI-compatible server, through the async ``openai`` client.

The client package is imported when first needed: importing it takes longer than all the rest
of an agent's start (0.6 s of 2 cores), so it must not delay the subscription.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from retunable.agent.models.model import (
    Finish,
    Message,
    ModelReply,
    ModelRequest,
    ToolCall,
    ToolSpec,
)
from retunable.agent.models.secrets import Env, KeySource, Secret, read_key
from retunable.agent.retry import parse_http_date, parse_retry_after
from retunable.errors import ConfigurationError, ProviderFailed, ProviderRefused, Unavailable

if TYPE_CHECKING:
    import openai

_log = logging.getLogger("retunable")

_TRANSIENT: Final = frozenset({408, 409, 425, 429})
"""What may pass beside 5xx: a timeout, a lock, too early, too many requests."""

TokenLimitField = Literal["max_tokens", "max_completion_tokens"]


class OpenAIProvider:
    """Calls chat completions; one client for all agents that share this provider."""

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: KeySource | None = Env("OPENAI_API_KEY"),  # noqa: B008 - a frozen value
        timeout_seconds: float = 120.0,
        token_limit_field: TokenLimitField | None = None,
    ) -> None:
        """Say where the server and its key are; nothing is opened yet.

        ``base_url`` of None means ``OPENAI_BASE_URL`` or OpenAI itself. ``api_key`` of None is
        for a server that wants none. ``timeout_seconds`` bounds one try as a whole; tries are
        counted by the agent's ``RetryPolicy``. ``token_limit_field`` is the request field for
        ``max_tokens``; by default OpenAI's newer one for OpenAI itself and the one that every
        compatible server knows elsewhere.
        """
        if api_key is not None and not isinstance(api_key, Env | Secret):
            raise ConfigurationError(
                'api_key names where the key is: Env("OPENAI_API_KEY") or Secret("secretstore/key")'
            )
        self._base_url = base_url
        self._api_key = api_key
        self._timeout_seconds = timeout_seconds
        self._token_limit_field = token_limit_field
        self._users = 0
        self._client: openai.AsyncOpenAI | None = None

    async def open(self) -> None:
        """Check that the key is there; a sidecar that is away is met at the first call."""
        if self._api_key is not None:
            try:
                await read_key(self._api_key)
            except Unavailable as error:
                _log.warning("%s; it is read again at the first model call", error)
        self._users += 1

    def warm_up(self) -> None:
        """Import the client package and build a client once, in a thread beside the event loop.

        Measured: the first client with its TLS settings and lazy resources takes 75 ms of CPU.
        """
        import openai

        _ = openai.AsyncOpenAI(api_key="warm-up").chat.completions.with_raw_response

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Call chat completions once."""
        import openai

        try:
            # The client's own timeout bounds each read only: a server that sends a byte now and
            # then was never given up.
            async with asyncio.timeout(self._timeout_seconds):
                return parse_completion(await self._create(request))
        except openai.APIStatusError as error:
            await self._forget_refused_key(error)
            raise _refusal_or_failure(error, self._api_key, request.model) from error
        except (TimeoutError, openai.APITimeoutError) as error:
            said = f"no complete answer within {self._timeout_seconds:g} s"
            raise ProviderFailed(said, transient=True) from error
        except openai.OpenAIError as error:
            broken = isinstance(error, openai.APIConnectionError)
            said = f"{type(error).__name__}: {error}"
            raise ProviderFailed(said, transient=broken) from error

    async def _create(self, request: ModelRequest) -> bytes:
        client = await self._opened_client()
        raw = await client.chat.completions.with_raw_response.create(**self._payload(request))
        body: bytes = raw.http_response.content
        return body

    async def close(self) -> None:
        """Close the client when the last agent that opened it does."""
        self._users -= 1
        if self._users <= 0:
            await self._drop_client()

    async def _opened_client(self) -> openai.AsyncOpenAI:
        if self._client is None:
            import openai

            key = "none" if self._api_key is None else await self._read_key(self._api_key)
            self._client = openai.AsyncOpenAI(
                api_key=key,
                base_url=self._base_url,
                timeout=self._timeout_seconds,
                max_retries=0,  # one policy: the agent's
            )
        return self._client

    async def _read_key(self, source: KeySource) -> str:
        try:
            return await read_key(source)
        except ConfigurationError as error:
            raise ProviderRefused(str(error), setting="key") from error
        except Unavailable as error:
            raise ProviderFailed(str(error), transient=True) from error

    async def _forget_refused_key(self, error: openai.APIStatusError) -> None:
        """Let the next call read the key again, which may have been renewed since."""
        if error.status_code == 401:
            await self._drop_client()

    async def _drop_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _payload(self, request: ModelRequest) -> dict[str, Any]:
        payload: dict[str, Any] = {"model": request.model, "messages": _messages(request)}
        if request.temperature is not None:
            payload["temperature"] = request.temperature
        if request.max_tokens is not None:
            payload[self._limit_field()] = request.max_tokens
        if request.tools:
            payload["tools"] = [_function(spec) for spec in request.tools]
            if request.tool_choice is not None:
                payload["tool_choice"] = _tool_choice(request.tool_choice)
        return payload

    def _limit_field(self) -> TokenLimitField:
        if self._token_limit_field is not None:
            return self._token_limit_field
        elsewhere = self._base_url or os.environ.get("OPENAI_BASE_URL")
        return "max_tokens" if elsewhere else "max_completion_tokens"


def parse_completion(body: bytes) -> ModelReply:
    """Read a chat completion's JSON.

    Raises:
        ProviderFailed: it has another shape.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderFailed(f"the server answered no JSON: {body[:80]!r}") from error
    match data:
        case {"choices": [{"message": dict(message)} as choice, *_]}:
            return ModelReply(
                text=str(message.get("content") or message.get("refusal") or ""),
                calls=_calls(message.get("tool_calls")),
                finish=_finish(choice.get("finish_reason")),
                input_tokens=_tokens(data, "prompt_tokens"),
                output_tokens=_tokens(data, "completion_tokens"),
                model=str(data["model"]) if data.get("model") else None,
            )
        case _:
            raise ProviderFailed(f"the server answered no chat completion: {body[:80]!r}")


def _tokens(data: Mapping[str, Any], name: str) -> int:
    usage = data.get("usage")
    counted = usage.get(name) if isinstance(usage, dict) else None
    return counted if isinstance(counted, int) else 0


def _calls(calls: object) -> tuple[ToolCall, ...]:
    match calls:
        case None:
            return ()
        case list():
            return tuple(_call(call) for call in calls)
        case _:
            raise ProviderFailed(f"the server asked for tool calls of another shape: {calls!r:.80}")


def _call(call: object) -> ToolCall:
    match call:
        case {"id": str(id_), "function": {"name": str(name), "arguments": str(arguments)}}:
            return ToolCall(id_, name, arguments)
        case {"id": str(id_), "function": {"name": str(name)}}:
            return ToolCall(id_, name, "{}")
        case _:
            raise ProviderFailed(f"the server asked for a tool call of another shape: {call!r:.80}")


def _finish(reason: object) -> Finish:
    match reason:
        case "length":
            return "length"
        case "content_filter":
            return "filtered"
        case _:
            return "stop"


def _messages(request: ModelRequest) -> list[dict[str, Any]]:
    system = {"role": "system", "content": request.system_prompt}
    rest = [_message(message) for message in request.messages]
    return [system, *rest] if request.system_prompt else rest


def _message(message: Message) -> dict[str, Any]:
    sent: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.role == "tool":
        sent["tool_call_id"] = message.call_id
    if message.calls:
        sent["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.calls
        ]
    return sent


def _function(spec: ToolSpec) -> dict[str, Any]:
    function: Mapping[str, Any] = {
        "name": spec.name,
        "description": spec.description,
        "parameters": dict(spec.parameters),
    }
    return {"type": "function", "function": function}


def _tool_choice(choice: str) -> str | dict[str, Any]:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _refusal_or_failure(
    error: openai.APIStatusError, key: KeySource | None, model: str
) -> ProviderRefused | ProviderFailed:
    said = f"{error.status_code}: {_message_of(error)}"
    match error.status_code:
        case 401 | 403:
            held = f"the key in {key}" if key else "a call without a key"
            return ProviderRefused(f"refused {held} ({said})", setting="key")
        case 404:
            return ProviderRefused(f"does not know the model {model!r} ({said})", setting="model")
        case 400 | 422 if _is_about_model(error):
            return ProviderRefused(f"refused the model {model!r} ({said})", setting="model")
        case 400 | 413 | 422:
            return ProviderRefused(f"refused the request ({said})", setting="request")
        case 429 if _body_of(error).get("code") == "insufficient_quota":
            return ProviderRefused(f"has no quota left for {key} ({said})", setting="key")
        case _:
            return _failure(error, said)


def _failure(error: openai.APIStatusError, said: str) -> ProviderFailed:
    headers = error.response.headers
    transient = error.status_code in _TRANSIENT or error.status_code >= 500
    return ProviderFailed(
        said,
        transient=transient and headers.get("x-should-retry") != "false",
        retry_after_seconds=_retry_after(headers),
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    sent = parse_http_date(headers.get("date", ""))
    now = sent or datetime.now(UTC)
    milliseconds = parse_retry_after(headers.get("retry-after-ms", ""), now=now)
    if milliseconds is not None:
        return milliseconds / 1000
    return parse_retry_after(headers.get("retry-after", ""), now=now)


def _message_of(error: openai.APIStatusError) -> str:
    return str(_body_of(error).get("message") or error.message)


def _body_of(error: openai.APIStatusError) -> dict[str, Any]:
    return error.body if isinstance(error.body, dict) else {}


def _is_about_model(error: openai.APIStatusError) -> bool:
    body = _body_of(error)
    return (
        body.get("param") == "model"
        or "model" in str(body.get("code") or "")
        or "model" in error.message.lower()
    )
