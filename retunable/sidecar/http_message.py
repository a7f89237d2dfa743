"""A request and an answer of HTTP, as far as the sidecar's HTTP face looks at them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request that are looked at; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """A status and, but for 204, a JSON body."""

    status: HTTPStatus
    body: Any = None

    def encode(self) -> bytes:
        """Return the whole answer as it goes over the wire."""
        body = b"" if self.body is None else json.dumps(self.body).encode()
        head = [f"HTTP/1.1 {self.status.value} {self.status.phrase}", "Connection: close"]
        if self.status is not HTTPStatus.NO_CONTENT:
            head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join((*head, "", "")).encode() + body


def parse(head: bytes) -> Request:
    """Read a request's first line and headers.

    Raises:
        ValueError: it is no HTTP request.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines if line)
    return Request(method, path, {name.strip().lower(): value.strip() for name, _, value in pairs})


def problem(status: HTTPStatus, code: str, message: str) -> Response:
    """Return an error as Dapr words it."""
    return Response(status, {"errorCode": code, "message": message})
