"""An OpenAI-compatible model server for tests: it records every request and answers as scripted.

A real HTTP server on 127.0.0.1, so that a test asserts on what a model was told and not on an
echo. Without a script it answers ``I have no script.``
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as received; ``body`` is its JSON, header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def system_prompt(self) -> str:
        """The text of the system message; empty where there is none."""
        texts = [m["content"] for m in self.messages if m["role"] == "system"]
        return texts[0] if texts else ""

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """Every message of the request."""
        messages: Sequence[Mapping[str, Any]] = self.body["messages"]
        return messages

    @property
    def tool_names(self) -> tuple[str, ...]:
        """The names of the tools offered."""
        return tuple(tool["function"]["name"] for tool in self.body.get("tools", ()))


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer: a status and a body, after ``delay_seconds`` and once ``hold`` is set."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    delay_seconds: float = 0.0
    hold: threading.Event | None = field(default=None, compare=False)


Scripted = Reply | Callable[[RecordedRequest], Reply]


def answer(text: str, *, delay_seconds: float = 0.0, hold: threading.Event | None = None) -> Reply:
    """Return a reply with an answer."""
    return _completion({"role": "assistant", "content": text}, "stop", delay_seconds, hold)


def tool_calls(*calls: tuple[str, Mapping[str, Any]], text: str = "") -> Reply:
    """Return a reply that asks for tools: pairs of a tool's name and its arguments."""
    message = {
        "role": "assistant",
        "content": text or None,
        "tool_calls": [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for number, (name, arguments) in enumerate(calls)
        ],
    }
    return _completion(message, "tool_calls")


def refusal(status: int, *, code: str = "", message: str = "refused") -> Reply:
    """Return an error as OpenAI words it, like 401, 404, 429 or 500."""
    error = {"message": message, "type": "error", "code": code, "param": None}
    return Reply(status, json.dumps({"error": error}).encode())


def garbage(body: bytes = b"<html>not JSON") -> Reply:
    """Return a success whose body is no completion."""
    return Reply(200, body)


def _completion(
    message: Mapping[str, Any],
    finish: str,
    delay_seconds: float = 0.0,
    hold: threading.Event | None = None,
) -> Reply:
    body = {
        "id": "chatcmpl-test",
        "object": "chat.completion",
        "created": 0,
        "model": "test-model",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
    }
    return Reply(200, json.dumps(body).encode(), delay_seconds=delay_seconds, hold=hold)


class ModelServer:
    """Serves ``/v1/chat/completions``; start it with ``with`` or ``start()``.

    ``script`` replies are used in order, one for each request; then ``default`` answers.
    """

    def __init__(self, *script: Scripted, default: Scripted | None = None, port: int = 0) -> None:
        self._script = deque(script)
        self._default: Scripted = default or answer("I have no script.")
        self._requests: list[RecordedRequest] = []
        self._arrived = threading.Condition()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """The base URL that an ``OpenAIProvider`` takes."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """Every request so far, in the order of arrival."""
        with self._arrived:
            return tuple(self._requests)

    def script(self, *replies: Scripted) -> None:
        """Add replies behind those that are left."""
        with self._arrived:
            self._script.extend(replies)

    def answer_always(self, reply: Scripted) -> None:
        """Drop what is left of the script and give this reply from now on."""
        with self._arrived:
            self._script.clear()
            self._default = reply

    def wait_for_requests(self, count: int, *, within_seconds: float = 10.0) -> None:
        """Block until ``count`` requests have arrived.

        Raises:
            TimeoutError: they did not arrive in time.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._requests) >= count, within_seconds):
                raise TimeoutError(f"{len(self._requests)} of {count} requests arrived")

    def start(self) -> None:
        """Serve from a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; held and delayed replies are let go."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def reply_to(self, request: RecordedRequest) -> Reply:
        """Record a request and return its reply, after its delay and its hold."""
        with self._arrived:
            self._requests.append(request)
            scripted = self._script.popleft() if self._script else self._default
            self._arrived.notify_all()
        reply = scripted if isinstance(scripted, Reply) else scripted(request)
        self._closing.wait(reply.delay_seconds)
        while reply.hold is not None and not (reply.hold.wait(0.05) or self._closing.is_set()):
            pass
        return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], model: ModelServer) -> None:
        self.model = model
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, such as a killed agent, is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one write: in two, the client's delayed acknowledgement adds 40 ms.
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.model.reply_to(RecordedRequest(self.path, headers, json.loads(body)))
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's signature
        """Write nothing to stderr."""
